/*
 * What npm's cors and helmet answer on Express, for the script beside it: a line of its input is
 * JSON ({"peer", "options", "requests": [{"method", "headers", "target", "reply"}]}), and the
 * answer to it a list of [status, {header: value}]. The application behind answers with `reply`.
 * In options, {"pattern": TEXT} is a regular expression that a whole origin must match, and
 * {"throws": LIST} the function of cors' documentation, which fails for what is not in the list.
 * The first line tells the versions.
 */
import fs from 'node:fs';
import http from 'node:http';
import readline from 'node:readline';
import cors from 'cors';
import express from 'express';
import helmet from 'helmet';

const versionOf = (name) => `${name} ${JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version}`;
const patternOf = (value) => (value?.pattern ? new RegExp(`^(?:${value.pattern})$`) : value);

function originOf(value) {
    if (Array.isArray(value))
        return value.map(patternOf);
    if (!value?.throws)
        return value;
    return (origin, answer) => (!origin || value.throws.includes(origin) ? answer(null, true) : answer(new Error('Not allowed by CORS')));
}

const withoutNull = (options) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));

const peers = {
    cors: ({ origin, ...options }) => cors({ ...withoutNull(options), origin: originOf(origin) }),
    helmet: (options) => helmet(options),
};

function ask(port, { method, headers, target }) {
    return new Promise((resolve, reject) => {
        const request = http.request({ host: '127.0.0.1', port, method, path: target || '/', headers, agent: false }, (reply) => {
            reply.resume();
            reply.on('end', () => resolve([reply.statusCode, reply.headers]));
        });
        request.on('error', reject);
        request.end();
    });
}

async function askAll({ peer, options, requests }) {
    let told;
    const app = express();
    app.use(peers[peer](options));
    app.use((request, reply) => {
        const [status, { Vary: vary, ...headers }] = told;
        reply.status(status).set(headers);
        if (vary)
            reply.vary(vary);
        reply.end();
    });
    app.use((error, request, reply, next) => reply.status(500).end()); // eslint-disable-line no-unused-vars
    const server = await new Promise((resolve) => { const made = app.listen(0, '127.0.0.1', () => resolve(made)); });
    const answers = [];
    for (const request of requests) {
        told = request.reply;
        answers.push(await ask(server.address().port, request));
    }
    server.close();
    return answers;
}

console.log(`${versionOf('cors')} and ${versionOf('helmet')} on ${versionOf('express')} and Node ${process.versions.node}`);
for await (const line of readline.createInterface({ input: process.stdin }))
    console.log(JSON.stringify(await askAll(JSON.parse(line))));
