/*
 * jsonwebtoken and jose on Node, measured for verify.c, which has the tokens. A
 * line of its input is a subject (JSON: name, key, whether that is a secret, and
 * tokens) or "NAME WAY"; to that it answers with the microseconds of CPU of the
 * whole process for one token, or with "-" when the peer does not know the
 * algorithm. The first line it writes says whom it measures.
 */
import crypto from 'node:crypto';
import { createRequire } from 'node:module';
import readline from 'node:readline';
import * as jose from 'jose';
import jsonwebtoken from 'jsonwebtoken';

const NOW = 1700000000; // that of verify.c
const SLICE_MICROSECONDS = 100000;
const WARM_UP_SLICES = 3; // until V8 has compiled what is measured

const require = createRequire(import.meta.url);
const versionOf = (name) => require(`./node_modules/${name}/package.json`).version;
const subjects = new Map();

function prepare({ name, secret, key, tokens }) {
    const parsed = secret ? crypto.createSecretKey(Buffer.from(key)) : crypto.createPublicKey(key);
    const options = { algorithms: [name], clockTimestamp: NOW };
    const joseOptions = { algorithms: [name], currentDate: new Date(NOW * 1000) };
    subjects.set(name, {
        tokens,
        warm: new Set(),
        ways: {
            parsed: (token) => jsonwebtoken.verify(token, parsed, options),
            text: (token) => jsonwebtoken.verify(token, key, options),
            jose: (token) => jose.jwtVerify(token, parsed, joseOptions),
        },
    });
}

/* A loop for what returns a promise would make the others wait for one, too. */
async function runAll({ tokens, ways }, way) {
    if (way === 'jose')
        for (const token of tokens)
            await ways.jose(token);
    else
        for (const token of tokens)
            ways[way](token);
}

async function measure(subject, way) {
    const start = process.cpuUsage();
    for (let count = subject.tokens.length; ; count += subject.tokens.length) {
        await runAll(subject, way);
        const { user, system } = process.cpuUsage(start);
        if (user + system >= SLICE_MICROSECONDS)
            return (user + system) / count;
    }
}

/* It refuses good tokens of any other algorithm; whoever knows one and refuses
 * its tokens ends the run. */
function knows(name, way) {
    return way === 'jose' || /^(HS|RS|PS|ES)(256|384|512)$/.test(name);
}

async function answer(name, way) {
    const subject = subjects.get(name);
    if (!knows(name, way))
        return '-';
    for (let i = 0; i < WARM_UP_SLICES && !subject.warm.has(way); i++)
        await measure(subject, way);
    subject.warm.add(way);
    return (await measure(subject, way)).toFixed(4);
}

console.log(`jsonwebtoken ${versionOf('jsonwebtoken')} and jose ${versionOf('jose')} on Node ${process.versions.node}` +
    ` with OpenSSL ${process.versions.openssl}`);
for await (const line of readline.createInterface({ input: process.stdin })) {
    if (line.startsWith('{'))
        prepare(JSON.parse(line));
    else
        console.log(await answer(...line.split(' ')));
}
