# The directory itself, on the LDAP server: how passwords are stored. Only the first characters leave the server.
section stored
slapcat -o ldif-wrap=no 2>/dev/null |
    sed -n 's/^dn: //p; s/^userPassword:: \(.\{1,12\}\).*/  base64 \1/p; s/^userPassword: \(.\{1,9\}\).*/  plain \1/p'
