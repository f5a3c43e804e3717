# The kernel's NFS server: what it exports, to whom, and which versions of NFS it speaks.
section exports
exportfs -s 2>&1
section versions
cat /proc/fs/nfsd/versions 2>&1
