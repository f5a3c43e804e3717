# Binds from a client. Standard input: the user's password, which stands in no command line.
# uri base user

command -v ldapwhoami >/dev/null || { section missing; echo ldapwhoami; exit 0; }
umask 077
files=$(mktemp -d) && trap 'rm -rf "$files"' EXIT
IFS= read -r password || [ -n "$password" ] || { section missing; echo 'the password'; exit 0; }
printf '%s' "$password" >"$files/right"
printf '%s' "not-$password" >"$files/wrong"
unset password

try() { # name, command
    section "$1"; shift
    out=$(timeout 30 "$@" 2>&1); echo "$?"; printf '%s\n' "$out"
}
try find ldapsearch -x -ZZ -H "$uri" -LLL -o ldif-wrap=no -b "$base" "(&(objectClass=posixAccount)(uid=$user))" dn
dn=$(printf '%s\n' "$out" | sed -n 's/^dn: //p' | head -n 1)
[ -n "$dn" ] || dn="uid=$user,ou=People,$base"
try right ldapwhoami -x -ZZ -H "$uri" -D "$dn" -y "$files/right"
try wrong ldapwhoami -x -ZZ -H "$uri" -D "$dn" -y "$files/wrong"
try clear-bind ldapwhoami -x -H "$uri" -D "$dn" -y "$files/right"
try clear-search ldapsearch -x -H "$uri" -LLL -b "$base" -s base dn
try others ldapsearch -x -ZZ -H "$uri" -LLL -o ldif-wrap=no -D "$dn" -y "$files/right" -b "$base" \
    "(&(userPassword=*)(!(uid=$user)))" dn
try anonymous ldapsearch -x -ZZ -H "$uri" -LLL -o ldif-wrap=no -b "$base" '(userPassword=*)' dn
