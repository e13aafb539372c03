/*
 * What npm's express-openapi-validator says of requests, for the script beside it:
 *
 *     node express_openapi.mjs DOCUMENT
 *
 * The first line of its output tells the versions, the second is the document as JSON. Then a
 * line of its input is a request ({"method", "target", "headers", "body"}, the body in base64,
 * or null), and the answer to it {"status", "message"}: 204 where it is admitted. Express is
 * set up as the documentation of express-openapi-validator has it.
 */
import fs from 'node:fs';
import http from 'node:http';
import readline from 'node:readline';
import cookies from 'cookie-parser';
import express from 'express';
import openApiValidator from 'express-openapi-validator';
import yaml from 'js-yaml';

const file = process.argv[2];
const versionOf = (name) => `${name} ${JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version}`;

/* nullable without a type does nothing (OpenAPI 3.0.3, 4.7.24), and express-openapi-validator answers all requests with 500. */
function withoutIdleNullable(value) {
    if (value === null || typeof value !== 'object')
        return value;
    if (value.nullable === true && value.type === undefined)
        delete value.nullable;
    Object.values(value).forEach(withoutIdleNullable);
    return value;
}

const isText = (request) => !/json|urlencoded|multipart/.test(request.headers['content-type'] ?? '');
const document = yaml.load(fs.readFileSync(file, 'utf8'));
const app = express();
app.use(express.json({ strict: false, type: ['application/json', 'application/*+json', 'text/json'] }), express.urlencoded({ extended: true }), express.text({ type: isText }), cookies());
app.use(openApiValidator.middleware({ apiSpec: withoutIdleNullable(structuredClone(document)), validateApiSpec: false, validateSecurity: false, validateRequests: { allErrors: true }, validateResponses: false }));
app.use((request, reply) => reply.status(204).end());
app.use((error, request, reply, next) => reply.status(error.status ?? 500).json({ message: error.message }));
const server = await new Promise((resolve) => { const made = app.listen(0, '127.0.0.1', () => resolve(made)); });

function ask({ method, target, headers, body }) {
    const content = body === null ? null : Buffer.from(body, 'base64');
    return new Promise((resolve, reject) => {
        const length = content === null ? {} : { 'Content-Length': content.length };
        const request = http.request({ host: '127.0.0.1', port: server.address().port, method, path: target, headers: { Host: 'localhost', ...headers, ...length }, agent: false }, (reply) => {
            let text = '';
            reply.on('data', (piece) => { text += piece; });
            reply.on('end', () => resolve({ status: reply.statusCode, message: text.startsWith('{') ? JSON.parse(text).message : '' }));
        });
        request.on('error', reject);
        request.end(content ?? undefined);
    });
}

console.log(`${versionOf('express-openapi-validator')} on ${versionOf('express')} and Node ${process.versions.node}`);
console.log(JSON.stringify(document));
for await (const line of readline.createInterface({ input: process.stdin }))
    console.log(JSON.stringify(await ask(JSON.parse(line))));
server.close();
