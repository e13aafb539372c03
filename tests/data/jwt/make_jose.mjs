/*
 * Makes jose.json: tokens that npm's jose has signed, or that were made wrong
 * from what it has signed, each with what must become of it. The tests read only
 * that file. It was made with jose 5.10.0 and Node 20; every run makes new keys,
 * and forgets the private ones. To make it anew, in a folder outside the tree:
 *
 *     npm install jose@5.10.0
 *     cp SOURCE/tests/data/jwt/make_jose.mjs . && node make_jose.mjs >jose.json
 *
 * `expect` is "good" or the word of the check that must refuse the token
 * (identity/jwt_fault.c). A set is what a policy would name: algorithms and keys.
 */
import assert from 'node:assert';
import crypto from 'node:crypto';
import fs from 'node:fs';
import * as jose from 'jose';

const VERSION = JSON.parse(fs.readFileSync('node_modules/jose/package.json')).version;
const NOW = 1767225600; // 2026-01-01
const ISSUER = 'https://login.example.com/';
const AUDIENCE = 'api.example.com';
const CLAIMS = { iss: ISSUER, aud: AUDIENCE, sub: 'user-7', iat: 1704067200, exp: 4102444800 }; // 2024 to 2100
const RSA_BITS = { RS256: 2048, RS384: 3072, RS512: 4096, PS256: 2048, PS384: 3072, PS512: 4096 };

const vectors = [];
const add = (set, algorithm, name, expect, token) => vectors.push({ set, algorithm, name, expect, token });
const encode = (value) => jose.base64url.encode(typeof value === 'string' ? value : JSON.stringify(value));
const sign = (key, header, claims = {}, options) =>
    new jose.SignJWT({ ...CLAIMS, ...claims }).setProtectedHeader(header).sign(key, options);

/* One signer for each algorithm, and for EdDSA for each of its curves. */
async function makeSigner(algorithm, curve) {
    const kid = curve ? `${algorithm} ${curve}` : algorithm;
    const labels = { kid, alg: algorithm, use: 'sig' };
    if (algorithm.startsWith('HS')) {
        const secret = () => crypto.randomBytes(Number(algorithm.slice(2)) / 8);
        const key = secret();
        return { set: 'secret', algorithm, kid, key, other: secret(), jwk: { kty: 'oct', k: jose.base64url.encode(key), ...labels } };
    }
    const pair = () => jose.generateKeyPair(algorithm, { crv: curve, modulusLength: RSA_BITS[algorithm] });
    const made = await pair();
    const jwk = { ...await jose.exportJWK(made.publicKey), ...labels };
    return { set: 'public', algorithm, kid, key: made.privateKey, public: made.publicKey, other: (await pair()).privateKey, jwk };
}

async function addGood({ set, algorithm, kid, key }) {
    const put = async (name, header, claims) => add(set, algorithm, name, 'good', await sign(key, { alg: algorithm, ...header }, claims));
    await put('plain', { kid });
    await put('no kid', {});
    await put('typ JWT', { kid, typ: 'JWT' });
    await put('typ at+jwt, roles', { kid, typ: 'at+jwt' }, { roles: ['admin', 'editor'], scope: 'read write', jti: 'a/b' });
    await put('typ application/at+jwt', { kid, typ: 'application/at+jwt' });
    await put('one audience of two', { kid }, { aud: ['others', AUDIENCE] });
    await put('letters beyond ASCII', { kid }, { sub: 'user-7', name: 'Zoë \u{1f511} "\\' });
}

/* What is signed truly, and refused for what it says. */
async function addRefused({ set, algorithm, kid, key, other }) {
    const alg = algorithm;
    const put = async (name, expect, header, claims, by = key) =>
        add(set, alg, name, expect, await sign(by, { alg, ...header }, claims));
    await put('signed by another key', 'bad_signature', { kid }, {}, other);
    await put('signed by another key, no kid', 'bad_signature', {}, {}, other);
    await put('unknown kid', 'kid_unknown', { kid: 'nobody' });
    await put('expired', 'expired', { kid }, { exp: 1704070800 });
    await put('not yet valid', 'not_yet_valid', { kid }, { nbf: 4070908800 });
    await put('issued in the future', 'issued_in_future', { kid }, { iat: 4070908800 });
    await put('wrong audience', 'aud_not_allowed', { kid }, { aud: 'others' });
    await put('no audience', 'aud_missing', { kid }, { aud: undefined });
    await put('wrong issuer', 'iss_not_allowed', { kid }, { iss: ISSUER + 'x' });
    await put('no expiry', 'exp_missing', { kid }, { exp: undefined });
    await put('logout token', 'typ_not_allowed', { kid, typ: 'logout+jwt' });
    add(set, alg, 'crit', 'critical_header',
        await sign(key, { alg, kid, crit: ['x'], x: 1 }, {}, { crit: { x: true } }));
    const bytes = new TextEncoder().encode(JSON.stringify(CLAIMS));
    const detached = await new jose.FlattenedSign(bytes)
        .setProtectedHeader({ alg, kid, b64: false, crit: ['b64'] }).sign(key);
    add(set, alg, 'detached, b64 false', 'critical_header', `${detached.protected}..${detached.signature}`);
    add(set, alg, 'no JSON signed', 'bad_payload',
        await new jose.CompactSign(new TextEncoder().encode('user-7')).setProtectedHeader({ alg, kid }).sign(key));
}

/* A good token, changed. */
async function addEdited({ set, algorithm, kid, key }) {
    const [header, payload, signature] = (await sign(key, { alg: algorithm, kid })).split('.');
    const put = (name, expect, ...parts) => add(set, algorithm, name, expect, parts.join('.'));
    const flipped = jose.base64url.decode(signature);
    flipped[flipped.length >> 1] ^= 1;
    put('payload changed', 'bad_signature', header, encode({ ...CLAIMS, sub: 'root' }), signature);
    put('header changed', 'bad_signature', encode({ alg: algorithm, kid, typ: 'JWT' }), payload, signature);
    put('one bit of the signature changed', 'bad_signature', header, payload, jose.base64url.encode(flipped));
    put('signature gone', 'bad_signature', header, payload, '');
    put('signature padded', 'not_base64url', header, payload, signature + '=');
    put('none, signature kept', 'alg_unknown', encode({ alg: 'none', kid }), payload, signature);
    put('none, signature gone', 'alg_unknown', encode({ alg: 'none', kid }), payload, '');
    put('payload gone', 'bad_signature', header, '', signature);
}

/* A public key is no secret, whatever form of it a forger takes for one. */
async function addConfused({ algorithm, kid, jwk, public: key }) {
    const pem = await jose.exportSPKI(key);
    const forms = { PEM: pem, 'PEM without its last newline': pem.trimEnd(), JWK: JSON.stringify(jwk),
        DER: key.export({ type: 'spki', format: 'der' }) };
    for (const [form, content] of Object.entries(forms)) {
        const secret = Buffer.from(content);
        const put = async (set, name, expect, header) =>
            add(set, algorithm, `as HS256 with the ${form}${name}`, expect, await sign(secret, { alg: 'HS256', ...header }));
        await put('public', '', 'alg_not_allowed', { kid });
        await put('both', '', 'key_unfit', { kid });
        await put('both', ', no kid', 'bad_signature', {});
        await put('both', ', kid of a secret', 'bad_signature', { kid: 'HS256' });
    }
}

/* What jose will not sign is signed by node:crypto. */
function signBare(header, digest, key, dsaEncoding = 'ieee-p1363') {
    const content = encode(header) + '.' + encode(CLAIMS);
    return content + '.' + jose.base64url.encode(crypto.sign(digest, Buffer.from(content), { key, dsaEncoding }));
}

function addMismatched(of) {
    const put = (name, expect, algorithm, ...rest) => add('public', algorithm, name, expect, signBare(...rest));
    const ec256 = { alg: 'ES256', kid: 'ES256' };
    for (const other of ['ES384', 'ES512']) {
        const curve = of[other].jwk.crv;
        put(`by ${curve} with SHA-256`, 'bad_signature', 'ES256', ec256, 'SHA256', of[other].key);
        put(`by ${curve}, its kid`, 'key_unfit', 'ES256', { alg: 'ES256', kid: other }, 'SHA256', of[other].key);
        put(`by ${curve}, no kid`, 'bad_signature', 'ES256', { alg: 'ES256' }, 'SHA256', of[other].key);
    }
    put('by P-256', 'bad_signature', 'ES384', { alg: 'ES384', kid: 'ES384' }, 'SHA384', of.ES256.key);
    put('by P-256 with its kid', 'key_unfit', 'ES512', { alg: 'ES512', kid: 'ES256' }, 'SHA512', of.ES256.key);
    put('digest of another algorithm', 'bad_signature', 'ES256', ec256, 'SHA384', of.ES256.key);
    for (const [name, digest] of [['ES256', 'SHA256'], ['ES384', 'SHA384'], ['ES512', 'SHA512']])
        put('signature in DER', 'bad_signature', name, { alg: name, kid: name }, digest, of[name].key, 'der');
    put('padding of PKCS #1', 'bad_signature', 'PS256', { alg: 'PS256', kid: 'PS256' }, 'SHA256', of.PS256.key);
    put('digest of another algorithm', 'bad_signature', 'RS256', { alg: 'RS256', kid: 'RS256' }, 'SHA512', of.RS256.key);
    put('key that is for another algorithm', 'key_unfit', 'RS256', { alg: 'RS256', kid: 'PS256' }, 'SHA256', of.PS256.key);
    put('by Ed448', 'key_unfit', 'Ed25519', { alg: 'Ed25519', kid: 'EdDSA Ed448' }, null, of['EdDSA Ed448'].key);
    put('by Ed25519', 'key_unfit', 'Ed448', { alg: 'Ed448', kid: 'Ed25519' }, null, of.Ed25519.key);
}

async function addForeign(of) {
    const signer = await jose.generateKeyPair('ES256K');
    add('public', 'ES256', 'ES256K', 'alg_unknown', await sign(signer.privateKey, { alg: 'ES256K', kid: 'ES256' }));
    add('public', 'RS256', 'unsecured', 'alg_unknown', new jose.UnsecuredJWT(CLAIMS).encode());
    const encrypt = (alg, key, more) => new jose.EncryptJWT(CLAIMS).setProtectedHeader({ alg, enc: 'A256GCM', ...more }).encrypt(key);
    const rsa = of.RS256.public.export({ type: 'spki', format: 'pem' });
    add('public', 'RS256', 'JWE by RSA-OAEP', 'not_three_parts',
        await encrypt('RSA-OAEP-256', await jose.importSPKI(rsa, 'RSA-OAEP-256'), { kid: 'RS256' }));
    add('public', 'ES256', 'JWE by ECDH-ES', 'not_three_parts', await encrypt('ECDH-ES', of.ES256.public, { kid: 'ES256' }));
    add('secret', 'HS256', 'JWE with the secret', 'not_three_parts', await encrypt('dir', of.HS256.key, { kid: 'HS256' }));
}

/* RFC 9864's names of single curves: Ed448 is one that jose does not know. */
async function addEd448() {
    const { publicKey, privateKey } = await jose.generateKeyPair('EdDSA', { crv: 'Ed448' });
    const other = (await jose.generateKeyPair('EdDSA', { crv: 'Ed448' })).privateKey;
    const header = { alg: 'Ed448', kid: 'Ed448' };
    add('public', 'Ed448', 'plain', 'good', signBare(header, null, privateKey));
    add('public', 'Ed448', 'typ at+jwt', 'good', signBare({ ...header, typ: 'at+jwt' }, null, privateKey));
    add('public', 'Ed448', 'signed by another key', 'bad_signature', signBare(header, null, other));
    return { ...await jose.exportJWK(publicKey), ...header, use: 'sig' };
}

/* What jose leaves to its user, and the padding that it lets pass. */
const LENIENT = ['typ_not_allowed', 'exp_missing', 'issued_in_future', 'not_base64url'];

/* jose itself must agree, but for Ed448 by that name. */
async function judge(sets, { set, algorithm, name, expect, token }) {
    if (algorithm === 'Ed448' || LENIENT.includes(expect))
        return;
    const { algorithms, jwks } = sets[set];
    const secrets = jwks.keys.filter((key) => key.kty === 'oct');
    const find = (header, token) => {
        const secret = secrets.find((key) => header.kid ? key.kid === header.kid : key.alg === header.alg);
        return secret ? jose.base64url.decode(secret.k) : jose.createLocalJWKSet(jwks)(header, token);
    };
    const options = { algorithms, issuer: ISSUER, audience: AUDIENCE, currentDate: new Date(NOW * 1000) };
    let refused = null;
    const tries = async (error) => { // several keys may fit where there is no kid
        for await (const key of error)
            try { await jose.jwtVerify(token, key, options); return null; } catch (next) { refused = next; }
        return refused;
    };
    try { await jose.jwtVerify(token, find, options); }
    catch (error) { refused = error.code === 'ERR_JWKS_MULTIPLE_MATCHING_KEYS' ? await tries(error) : error; }
    assert.equal(refused === null, expect === 'good', `${algorithm}, ${name}: ${refused}`);
}

const kinds = ['HS', 'RS', 'PS', 'ES'].flatMap((kind) => ['256', '384', '512'].map((size) => [kind + size]));
const signers = [];
for (const [algorithm, curve] of [...kinds, ['EdDSA', 'Ed25519'], ['EdDSA', 'Ed448'], ['Ed25519']])
    signers.push(await makeSigner(algorithm, curve));
const of = Object.fromEntries(signers.map((signer) => [signer.kid, signer]));
for (const signer of signers) {
    await addGood(signer);
    await addRefused(signer);
    await addEdited(signer);
    if (signer.set === 'public')
        await addConfused(signer);
}
addMismatched(of);
await addForeign(of);
const ed448 = await addEd448();
const keysOf = (set) => signers.filter((signer) => signer.set === set).map((signer) => signer.jwk);
const namesOf = (keys) => [...new Set(keys.map((key) => key.alg))];
const toSet = (keys) => ({ algorithms: namesOf(keys), jwks: { keys } });
const secrets = keysOf('secret');
const publics = [...keysOf('public'), ed448];
const sets = { secret: toSet(secrets), public: toSet(publics), both: toSet([...secrets, ...publics]) };
for (const vector of vectors)
    await judge(sets, vector);
const list = vectors.map((vector) => JSON.stringify(vector)).join(',\n');
process.stdout.write(`{"made_with": "jose ${VERSION}", "now": ${NOW}, "issuer": "${ISSUER}", "audience": "${AUDIENCE}",\n` +
    `"sets": ${JSON.stringify(sets, null, 1)},\n"vectors": [\n${list}\n]}\n`);
