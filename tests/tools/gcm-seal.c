/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcm-seal KEY AAD: encrypts standard input with AES-256-GCM under KEY (hex), and writes nonce,
 * ciphertext and tag, as Go's cipher.AEAD does. For tests that stand in for an API server; the
 * tools that Debian has do everything but this.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#define MAX_BYTES (1 << 22)

static void die(const char *why)
{
	fprintf(stderr, "gcm-seal: %s\n", why);
	exit(1);
}

int main(int argc, char *argv[])
{
	static unsigned char in[MAX_BYTES], out[MAX_BYTES];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char nonce[12], tag[16];
	unsigned char *key;
	long key_len;
	size_t len;
	int n, last;

	if (argc != 3)
		die("usage: gcm-seal KEY AAD");
	key = OPENSSL_hexstr2buf(argv[1], &key_len);
	if (key == NULL || key_len != 32 || RAND_bytes(nonce, sizeof(nonce)) != 1)
		die("a key has 32 bytes");
	len = fread(in, 1, sizeof(in), stdin);
	if (EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) != 1 ||
		EVP_EncryptUpdate(ctx, NULL, &n, (unsigned char *)argv[2], (int)strlen(argv[2])) !=
			1 ||
		EVP_EncryptUpdate(ctx, out, &n, in, (int)len) != 1 ||
		EVP_EncryptFinal_ex(ctx, out + n, &last) != 1 ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, sizeof(tag), tag) != 1)
		die("AES-GCM");
	if (fwrite(nonce, 1, sizeof(nonce), stdout) != sizeof(nonce) ||
		fwrite(out, 1, len, stdout) != len ||
		fwrite(tag, 1, sizeof(tag), stdout) != sizeof(tag))
		die("cannot write");
	OPENSSL_free(key);
	EVP_CIPHER_CTX_free(ctx);
	return 0;
}
