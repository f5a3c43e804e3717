# Binds from a client. Standard input: the user's password, which stands in no command line.
# uri base user

command -v ldapwhoami >/dev/null || { section missing; echo ldapwhoami; exit 0; }
umask 077
files=$(mktemp -d) && trap 'rm -rf "$files"' EXIT
IFS= read -r password || [ -n "$password" ] || { section missing; echo 'the password'; exit 0; }
printf '%s' "$password" >"$files/right"
printf '%s' "not-$password" >"$files/wrong"
unset password

ask() { name=$1; shift; try "$name" timeout 30 "$@"; }
ask find ldapsearch -x -ZZ -H "$uri" -LLL -o ldif-wrap=no -b "$base" "(&(objectClass=posixAccount)(uid=$user))" dn
dn=$(printf '%s\n' "$out" | sed -n 's/^dn: //p' | head -n 1)
[ -n "$dn" ] || dn="uid=$user,ou=People,$base"
ask right ldapwhoami -x -ZZ -H "$uri" -D "$dn" -y "$files/right"
ask wrong ldapwhoami -x -ZZ -H "$uri" -D "$dn" -y "$files/wrong"
ask clear-bind ldapwhoami -x -H "$uri" -D "$dn" -y "$files/right"
ask clear-search ldapsearch -x -H "$uri" -LLL -b "$base" -s base dn
ask others ldapsearch -x -ZZ -H "$uri" -LLL -o ldif-wrap=no -D "$dn" -y "$files/right" -b "$base" \
    "(&(userPassword=*)(!(uid=$user)))" dn
ask anonymous ldapsearch -x -ZZ -H "$uri" -LLL -o ldif-wrap=no -b "$base" '(userPassword=*)' dn
