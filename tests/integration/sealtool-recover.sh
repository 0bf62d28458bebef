#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Recovery without a TPM, and without kubetpm: the file opens with the jose command.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

must start_tpm
must sealtool init
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rec.pem 2>/dev/null
openssl pkey -in rec.pem -pubout -out rec.pub
must jose jwk gen -i '{"kty":"EC","crv":"P-256"}' -o rec.jwk
must jose jwk pub -i rec.jwk -o rec-pub.jwk
secret=$(openssl rand -hex 20)
printf %s "$secret" >plain
must sealtool seal --name t --purpose exec-credential --pcrs sha256:7,16 --recovery rec.pub \
	--recovery rec-pub.jwk -o t.sealed <plain
# From here on there is no TPM.
stop_tpm
KUBETPM_TCTI=swtpm:path=/nonexistent
export KUBETPM_TCTI

it 'recover opens it with a PEM key'
run sealtool recover --key rec.pem t.sealed
expect_status 0
expect_out_is "$secret"

it 'recover opens it with a JWK'
run sealtool recover --key rec.jwk t.sealed
expect_status 0
expect_out_is "$secret"

it 'SEC1 and passphrases'
openssl ec -in rec.pem -out sec1.pem 2>/dev/null
run sealtool recover --key sec1.pem t.sealed
expect_out_is "$secret"
printf 'open sesame\n' >phrase
chmod 600 phrase
openssl pkcs8 -topk8 -in rec.pem -out locked.pem -passout file:phrase -v2 aes-256-cbc
run sealtool recover --key locked.pem --passphrase-file phrase t.sealed
expect_out_is "$secret"
run sealtool recover --key locked.pem t.sealed
expect_status 6
printf 'wrong\n' >wrong
chmod 600 wrong
run sealtool recover --key locked.pem --passphrase-file wrong t.sealed
expect_status 6
expect_one_line

it 'jose opens it with the JWK'
run jose jwe dec -i t.sealed -k rec.jwk
expect_status 0
expect_out_is "$secret"

it 'jose opens it with the PEM key, made a JWK by hand'
python3 - >by-hand.jwk <<'EOT'
import base64, json, re, subprocess
text = subprocess.run(["openssl", "pkey", "-in", "rec.pem", "-noout", "-text"],
                      capture_output=True, text=True, check=True).stdout
def octets(name):
    return bytes.fromhex(re.sub(r"[^0-9a-f]", "", re.search(name + r":\n((?:\s+[0-9a-f:]+\n)+)", text)[1]))
def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
d, point = octets("priv").rjust(32, b"\0")[-32:], octets("pub")
print(json.dumps({"kty": "EC", "crv": "P-256", "d": b64(d), "x": b64(point[1:33]), "y": b64(point[33:65])}))
EOT
run jose jwe dec -i t.sealed -k by-hand.jwk
expect_status 0
expect_out_is "$secret"

it 'jose opens one MiB of bytes'
head -c 1048576 /dev/urandom >large
run sealtool seal --name t --purpose x --recovery rec-pub.jwk -o large.sealed <large
expect_status 0
run jose jwe dec -i large.sealed -k rec.jwk
expect_out_same large

it 'a stranger'"'"'s key opens nothing'
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out stranger.pem 2>/dev/null
run sealtool recover --key stranger.pem t.sealed
expect_status 5
expect_one_line
expect_no_out

it 'the wrong kind of key is told'
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem 2>/dev/null
openssl pkey -in p384.pem -pubout -out p384.pub
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem 2>/dev/null
openssl pkey -in rsa.pem -pubout -out rsa.pub
for f in p384 rsa; do
	run sealtool seal --name t --purpose x --recovery $f.pub -o never.sealed <plain
	expect_status 5
	expect_one_line
	run sealtool recover --key $f.pem t.sealed
	expect_status 5
done
run sealtool recover --key t.sealed t.sealed
expect_status 5

it 'a private key has no business on the machine that seals'
run sealtool seal --name t --purpose x --recovery rec.pem -o never.sealed <plain
expect_status 8
expect_err rec.pem
run sealtool seal --name t --purpose x --recovery rec.jwk -o never.sealed <plain
expect_status 8
expect 'no file is made' test ! -e never.sealed

it 'without --key it says so'
run sealtool recover t.sealed
expect_status 2
run sealtool recover --key nonexistent t.sealed
expect_status 2

it 'the TPM slot, without a TPM'
run sealtool unseal t.sealed
expect_status 4
expect_one_line

done_testing
