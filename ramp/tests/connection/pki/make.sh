#!/bin/sh
# Makes the certificates of these tests again. Their keys protect nothing.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/ca.conf" <<EOF
[ca]
default_ca = ca
[ca]
database = $work/index
serial = $work/serial
new_certs_dir = $work
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
EOF
: >"$work/index"
echo 02 >"$work/serial"
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"; }
sign() { # certificate, key, common name, last year, arguments of openssl ca; X.509 version 1 without -extfile
    certificate=$1 year=$4
    openssl req -new -key "$2" -subj "/CN=$3" -out "$work/csr"
    shift 4
    openssl ca -batch -notext -config "$work/ca.conf" -keyfile "$work/ca.key" -startdate 20200101000000Z \
        -enddate "${year}0101000000Z" -in "$work/csr" -out "$certificate" "$@" 2>/dev/null
}
key "$work/ca.key"
echo basicConstraints=critical,CA:TRUE >"$work/authority"
sign ca.pem "$work/ca.key" "ramp tests" 2120 -selfsign -extfile "$work/authority"
key server.key
echo subjectAltName=DNS:api.test,DNS:proxy.test,DNS:localhost,IP:127.0.0.1,IP:::1 >"$work/names"
echo basicConstraints=CA:FALSE >"$work/no-names"
sign server.pem server.key api.test 2120 -cert ca.pem -extfile "$work/names"
sign no-san.pem server.key localhost 2120 -cert ca.pem -extfile "$work/no-names"
sign v1.pem server.key localhost 2120 -cert ca.pem
sign expired.pem server.key localhost 2021 -cert ca.pem -extfile "$work/names"
key client.key
sign client.pem client.key someone 2120 -cert ca.pem -extfile "$work/no-names"
sign client-v1.pem client.key someone 2120 -cert ca.pem
sign client-expired.pem client.key someone 2021 -cert ca.pem
openssl ec -in client.key -out client-sec1.key 2>/dev/null
openssl pkcs8 -topk8 -in client.key -passout pass:secret -out client-encrypted.key
openssl genrsa -traditional -out rsa.key 2048 2>/dev/null
sign rsa.pem rsa.key someone 2120 -cert ca.pem
