// Package seal seals what must not lie readable in the data: secrets of access keys, variables of functions, secret parameters.
//
// Its key is in a file beside the data, or elsewhere, which no backup holds. The file has a key a line. The first seals, and each
// opens: so whoever has lost the file, gone on with a new one and found the old one again adds its line to the new one.
//
// What is sealed opens with the same purpose and context alone, so rows cannot be swapped. The form is a nonce (12 bytes) and the
// text under AES-256-GCM, by a key that is derived for each purpose (HKDF with SHA-256).
//
// It is a ground room and imports no other.
package seal
