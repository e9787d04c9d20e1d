#!/usr/bin/env bash
# How the certificates beside this were made, for tests on the loopback only. They last for a hundred years.
set -euo pipefail
cd "$(dirname "$0")"
ca() { # NAME
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=$1 of the tests" \
    -keyout "$1.key" -out "$1.pem" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}
server() { # NAME CA SAN DAYS
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1 of the tests" -keyout "$1.key" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -days "$4" -out "$1.pem" \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$3")
}
ca ca
ca other-ca
server server ca IP:127.0.0.1,DNS:localhost 36500
server misnamed ca DNS:elsewhere.test 36500
server expired ca IP:127.0.0.1,DNS:localhost -1
rm -f -- *.csr *.srl ca.key other-ca.key
