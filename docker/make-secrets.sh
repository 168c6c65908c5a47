#!/bin/sh
# Makes the passwords that docker-compose.yml asks for. One that is there stays. Hex, so that it can stand in a URL.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
for name in superuser_password catalog_password tenants_password store_password; do
  [ -s "secrets/$name" ] && continue
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "secrets/$name"
  # The servers read it under another user id; other users of this machine do not get past the folder.
  chmod 644 "secrets/$name"
done

# For saasctl itself, on this machine and in the worker: where backups and exports are kept.
[ -s secrets/store.env ] || cat > secrets/store.env <<ENV
SAASCTL_STORE=s3://saasctl
AWS_ENDPOINT_URL_S3=http://127.0.0.1:${SAASCTL_STORE_PORT:-54323}
AWS_ACCESS_KEY_ID=saasctl
AWS_SECRET_ACCESS_KEY=$(cat secrets/store_password)
ENV
