# JupyterHub as a browser meets it: who may log in, and a notebook that is a job.
# stdin: the user's password, and the hub's certificate after it; user partition page patience

export user partition page patience
read -r password
export password
certificate=$(mktemp)
export certificate
trap 'rm -f "$certificate"' EXIT
cat >"$certificate"
python3 - <<'PYTHON'
import http.cookiejar, json, os, ssl, subprocess, time, urllib.error, urllib.parse, urllib.request

user, page = os.environ["user"], os.environ["page"]
end = time.time() + int(os.environ["patience"])
context = ssl.create_default_context()
context.check_hostname = False  # it is asked by its address, and its certificate is known
context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
if os.path.getsize(os.environ["certificate"]):
    context.load_verify_locations(os.environ["certificate"])


class Browser:
    def __init__(self):
        self.cookies = http.cookiejar.CookieJar()
        kept = urllib.request.HTTPCookieProcessor(self.cookies)
        self.opener = urllib.request.build_opener(kept, urllib.request.HTTPSHandler(context=context))

    def call(self, path, method=None, form=None, body=None):
        data = urllib.parse.urlencode(form) if form else json.dumps(body) if body else ""
        request = urllib.request.Request(page + path, data=data.encode() or None, method=method)
        request.add_header("X-XSRFToken", self.mark("/hub/" if path.startswith("/hub/") else "/user/" + user + "/"))
        if body:
            request.add_header("Content-Type", "application/json")
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode(), answer.url
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace"), error.url
        except OSError as error:
            return 0, str(error), ""

    def mark(self, path="/hub/"):
        """What the hub, or a notebook, wants to see again, so that no other page can speak in the user's name."""
        return next((one.value for one in self.cookies if one.name == "_xsrf" and one.path == path), "")

    def log_in(self, password):
        self.call("/hub/login")
        form = {"username": user, "password": password, "_xsrf": self.mark()}
        return self.call("/hub/login?next=/hub/home", form=form)

    def server(self):
        return json.loads(self.call("/hub/api/users/" + user)[1] or "{}").get("servers", {}).get("")


def say(name, *words):
    print("\n@@@ " + name, *words, sep="\n", flush=True)


def queued():
    asked = ["squeue", "--noheader", "--name", "jupyter", "--user", user, "--format", "%i %T %N"]
    return subprocess.run(asked, capture_output=True, text=True).stdout.strip()


def until(true, seconds=1):
    while time.time() < end:
        found = true()
        if found:
            return found
        time.sleep(seconds)
    return None


browser = Browser()
say("nobody", browser.call("/hub/api/users/" + user)[0])
say("wrong", Browser().log_in("not " + os.environ["password"])[0])
code, _, where = browser.log_in(os.environ["password"])
say("right", code, where)
if not where.endswith("/hub/home"):
    raise SystemExit
if browser.server() or queued():
    say("busy", "the user has a notebook already")
    raise SystemExit
asked = {"partition": os.environ["partition"], "runtime": "0:10:00"}
code, said, _ = browser.call("/hub/api/users/" + user + "/server", "POST", body=asked)
say("start", code, said)
if code in (201, 202):
    try:
        ready = until(lambda: (browser.server() or {}).get("ready"))
        say("notebook", "ready" if ready else "not ready")
        say("job", queued())
        browser.call("/user/" + user + "/lab")
        code, said, _ = browser.call("/user/" + user + "/jupyterlab_slurm/squeue?userOnly=true")
        say("queue", code, said)
        say("stranger", *Browser().call("/user/" + user + "/api/status")[::2])
    finally:
        say("stop", browser.call("/hub/api/users/" + user + "/server", method="DELETE")[0])
        end = time.time() + 60
        say("left", "" if until(lambda: not queued()) else queued())
PYTHON
