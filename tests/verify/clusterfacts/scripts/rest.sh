# The REST daemon's answers to a user with a token, and to those without one. Tokens leave the node neither whole nor in part.
# stdin: the authority of its certificate; user home partition plain tls address port

ca=$(mktemp)
trap 'rm -f "$ca"' EXIT
cat >"$ca"
token=$(runuser -u "$user" -- env -i PATH="$PATH" scontrol token lifespan=300 2>&1 | sed -n 's/^SLURM_JWT=//p')
section token
[ -n "$token" ] && echo made
section listening
ss --no-header --listening --numeric --tcp "sport = :$port" 2>&1 | awk '{print $4}'
section key
stat -c '%n %a %U %G' /etc/slurm/jwt_hs256.key 2>/dev/null
section process
ps -o user= -C slurmrestd
export user home partition plain tls ca token
python3 - <<'PYTHON'
import base64, hashlib, hmac, json, os, ssl, time, urllib.error, urllib.request

user, plain, tls, token = (os.environ[name] for name in ("user", "plain", "tls", "token"))
context = ssl.create_default_context(cafile=os.environ["ca"] if os.path.getsize(os.environ["ca"]) else None)


def call(path, body=None, token=token, base=tls or plain, context=context):
    headers = {"X-SLURM-USER-NAME": user, "Content-Type": "application/json"}
    if token:
        headers["X-SLURM-USER-TOKEN"] = token
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(base + path, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60, context=context if base.startswith("https") else None) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, {}
    except (OSError, ValueError) as error:
        return 0, {"why": str(error)}


def say(name, *words):
    print(f"\n@@@ {name}", *words, sep="\n")


def forged():
    """A token as an old key would have made it."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    now = int(time.time())
    claims = {"iat": now, "exp": now + 300, "sun": user}
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.new(os.urandom(32), text, hashlib.sha256).digest())).decode()


api = "/slurm/v0.0.38"
for name, path in (("ping", "/ping"), ("nodes", "/nodes")):
    code, answer = call(api + path)
    say(name, code, answer.get("why", ""))
    if name == "nodes":
        say("names", *(node.get("name") for node in answer.get("nodes", [])))
for name, given in (("none", ""), ("broken", token[:-2] + "xx"), ("forged", forged())):
    say(f"refused {name}", call(api + "/ping", token=given)[0])
if tls:
    say("untrusted", call(api + "/ping", context=ssl.create_default_context(cadata=None))[1].get("why", "accepted"))
    say("plain", call(api + "/ping", base=tls.replace("https:", "http:"))[0])
job = {
    "name": "verify-rest", "partition": os.environ["partition"], "time_limit": 1, "memory_per_node": 32,
    "current_working_directory": os.environ["home"], "standard_output": "/dev/null", "standard_error": "/dev/null",
    "environment": {"PATH": "/usr/bin:/bin"},
}
code, answer = call(api + "/job/submit", {"job": job, "script": "#!/bin/sh\ntrue\n"})
number = answer.get("job_id", 0)
say("submit", code, number, answer.get("errors", ""))
state, end = "none", time.time() + 120
while number and time.time() < end:
    jobs = call(f"{api}/job/{number}")[1].get("jobs") or [{}]
    state = jobs[0].get("job_state", "none")
    if state not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "none"):
        break
    time.sleep(1)
say("job", state)
PYTHON
