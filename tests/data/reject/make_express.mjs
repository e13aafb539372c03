/*
 * Makes express.json: what npm's hpp, express-mongo-sanitize, xss-clean and validator
 * make of the cases that their documentation and their own tests speak of, on Express 4 (on 5,
 * whose req.query cannot be set, the first three fail). The tests read only that file. It was
 * made with Node 20; to make it anew, in a folder outside the tree:
 *
 *     npm install express@4.22.3 hpp@0.2.3 express-mongo-sanitize@2.2.0 xss-clean@0.1.4 validator@13.15.35
 *     cp SOURCE/tests/data/reject/make_express.mjs . && node make_express.mjs >express.json
 *
 * A case is what was sent, the keys of a route that ask fcgiguard for the same, and `got`: what
 * a handler finds in req.query and in req.body. Queries and forms are lists of pairs there, with names as they
 * are written, "a[b]" and "a[]"; JSON is itself. Where fcgiguard does something else, differences.json
 * beside this file says what, and why.
 */
import fs from 'node:fs';
import http from 'node:http';
import express from 'express';
import hpp from 'hpp';
import sanitize from 'express-mongo-sanitize';
import xss from 'xss-clean';
import validator from 'validator';

const version = (name) => `${name} ${JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version}`;
const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';

const query = (text) => ({ query: text, type: '', body: '' });
const form = (text) => ({ query: '', type: FORM, body: text });
const json = (value) => ({ query: '', type: JSON_TYPE, body: JSON.stringify(value) });

const CASES = [
    // hpp: README.md and its test suite
    ...[query('firstname=John&firstname=Alice&lastname=Doe'), form('firstname=John&firstname=Alice&lastname=Doe'), query('title=PhD&firstname=John'),
        query('a=1&a=2&a=3'), query('a=1&a=1'), query(''), query('a[]=1&a[]=2'), query('a[0]=1&a[1]=2'), query('a[]=1'), query('a=1&a[]=2'),
        query('a[b]=1&a[c]=2'), query('a[b]=1&a[b]=2'), query('a=1&a[b]=2'), query('a=1&A=2'), query('a.b=1&a_b=2'), query('%61=1&a=2'),
        json({ a: ['1', '2'] }), { query: 'a=1', type: FORM, body: 'a=2' }, query('toString=1&toString=2'), query('a=1&b=2&a=3&b=4'),
    ].map((sent) => ['hpp', undefined, 'repeated_params: {action: last}', sent]),
    ...[query('package=Helmet&package=HPP&filter=nodejs&filter=iojs'), form('filter=a&filter=b&x=1&x=2'), query('filter[]=a&filter[]=b')]
        .map((sent) => ['hpp', { whitelist: ['filter'] }, 'repeated_params: {action: last, allow: filter}', sent]),
    // express-mongo-sanitize: README.md and its test suite
    ...[json({ $where: 'malicious', 'dotted.data': 'some_data' }), query('q=search&$where=malicious&dotted.data=some_data'),
        form('q=search&$where=malicious&dotted.data=some_data'), query('username[$gt]=&password[$gt]='), form('username[$gt]='),
        json({ username: { $gt: '' } }), json({ username: { $gt: 'foo', 'dotted.data': 'some_data' } }), query('username[$gt]=foo&username[dotted.data]=some_data'),
        json({ array: [{ $gt: '' }, { a: 1 }, 'x'] }), json([{ $where: 'x' }, { 'a.b': 1 }]), json({ a: { b: { c: { $ne: null } } } }),
        json({ query: 'search', price: 1.5, list: ['$gt', 'a.b'], nothing: null }), json({ a$: 1, '': 2, 'a$b': 3 }), query('a$=1&price=$5.00'),
        query('filter[%24ne]=x'), query('a[b][$in][]=1&a[b][$in][]=2'), query('%24gt=1'), json({ $a: { $b: 1 } }), query('email=someone@example.com'),
        query('a[$gt=1'), { query: '$a=1', type: JSON_TYPE, body: '{"$b":1}' },
    ].flatMap((sent) => [['express-mongo-sanitize', undefined, 'operators: remove', sent], ['express-mongo-sanitize', { replaceWith: '_' }, 'operators: replace', sent]]),
    ...[json({ 'a.b': 1, $c: 2 }), query('a.b=1&$c=2'), json({ 'a.$b': 1 })]
        .flatMap((sent) => [['express-mongo-sanitize', { allowDots: true }, 'operators: {action: remove, dots: allow}', sent],
            ['express-mongo-sanitize', { allowDots: true, replaceWith: '_' }, 'operators: {action: replace, dots: allow}', sent]]),
    ['express-mongo-sanitize', { replaceWith: '_' }, 'operators: replace', json({ $a: 1, _a: 2 })],
    ['express-mongo-sanitize', { replaceWith: '_' }, 'operators: replace', json({ '$$a': 1, '..': 2 })],
    ['express-mongo-sanitize', { replaceWith: '_' }, 'operators: replace', json({ '$': { x: 1 } })],
    // xss-clean: README.md and its test suite
    ...[json({ y: 4, z: false, w: 'bla bla', a: '<p>Test</p>' }), query('a=%3Cscript%3E%3C/script%3E'), form('a=%3Cscript%3Ealert(1)%3C/script%3E'), query('a=hello'),
        json({ x: { y: '<foo>bar</foo>' } }), json({ x: ['<p>', 'b'] }), json({ a: 'O\'Brien & "Söhne"' }), json({ a: '1 < 2' }), json({ a: 'I <3 you' }), json({ '<b>': 1 }),
        json({ a: 'javascript:alert(1)' }), json({ a: '" onmouseover="alert(1)' }), json({ a: '&lt;script&gt;' }), json({ password: 'a<b>c' }), json({ a: 'a > b' }),
    ].map((sent) => ['xss-clean', undefined, 'markup: escape', sent]),
    // validator's escape(), of one value
    ...['<script> alert("xss&fun"); </script>', '<script> alert(\'xss&fun\'); </script>', 'Find the cat', '<img alt="`">', 'Backtick: `', 'Backslash: \\',
        'Tom & Jerry', 'O\'Brien', '1 < 2', '<b>', 'a/b', '&lt;b&gt;'].map((value) => ['validator', 'escape', 'markup: escape', json({ a: value })]),
];

/* Names as a form has them. */
function pairs(value, name = '') {
    if (Array.isArray(value))
        return value.flatMap((item) => pairs(item, `${name}[]`));
    if (value !== null && typeof value === 'object')
        return Object.keys(value).flatMap((key) => pairs(value[key], name === '' ? key : `${name}[${key}]`));
    return [[name, String(value)]];
}

function middleware(peer, options) {
    if (peer === 'validator')
        return (request, reply, next) => { request.body.a = validator[options](request.body.a); next(); };
    return { hpp, 'express-mongo-sanitize': sanitize, 'xss-clean': xss }[peer](options);
}

async function ask([peer, options, policy, sent]) {
    const app = express();
    app.use(express.urlencoded({ extended: true }), express.json({ strict: false }), middleware(peer, options));
    app.all('/', (request, reply) => reply.json({ query: request.query, body: request.body }));
    app.use((error, request, reply, next) => { reply.status(500).json({ error: error.message }); });
    const server = await new Promise((resolve) => { const made = app.listen(0, '127.0.0.1', () => resolve(made)); });
    const got = await new Promise((resolve, reject) => {
        const headers = sent.type ? { 'content-type': sent.type, 'content-length': Buffer.byteLength(sent.body) } : {};
        const request = http.request({ port: server.address().port, host: '127.0.0.1', method: 'POST', path: `/${sent.query ? '?' : ''}${sent.query}`, headers, agent: false }, (reply) => {
            let text = '';
            reply.on('data', (piece) => { text += piece; });
            reply.on('end', () => resolve(JSON.parse(text)));
        });
        request.on('error', reject);
        request.end(sent.body);
    });
    server.close();
    if (got.error)
        throw new Error(`${JSON.stringify(sent)}: ${got.error}`);
    return { peer, ...(options ? { options } : {}), policy, ...sent,
        got: { query: pairs(got.query), body: sent.type === JSON_TYPE ? got.body : pairs(got.body) } };
}

const rows = [];
for (const one of CASES)
    rows.push(JSON.stringify({ case: rows.length, ...await ask(one) }));
const made = ['express', 'hpp', 'express-mongo-sanitize', 'xss-clean', 'validator'].map(version).join(', ');
process.stdout.write(`{"made_by": "${made}", "cases": [\n${rows.join(',\n')}\n]}\n`);
