/*
 * npm's ajv on Node, measured for validate.c, which has the schemas and the bodies. A
 * line of its input is a subject (JSON: name, schema, bodies as texts, whether
 * they are valid) or "NAME WAY"; to that it answers with the microseconds of CPU
 * of the whole process for one body. The first line it writes says whom it
 * measures.
 */
import fs from 'node:fs';
import readline from 'node:readline';
import addFormats from 'ajv-formats';
import Ajv2020 from 'ajv/dist/2020.js';

const SLICE_MICROSECONDS = 100000;
const WARM_UP_SLICES = 3; // until V8 has compiled what is measured

const versionOf = (name) => JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version;
const ajv = addFormats(new Ajv2020());
const subjects = new Map();

function prepare({ name, schema, bodies, valid }) {
    const validate = ajv.compile(schema);
    const parsed = bodies.map((body) => JSON.parse(body));
    subjects.set(name, {
        valid,
        warm: new Set(),
        ways: {
            parse: [bodies, (body) => JSON.parse(body) !== undefined && valid],
            validate: [parsed, validate],
            both: [bodies, (body) => validate(JSON.parse(body))],
        },
    });
}

/* A loop of its own for each function, which V8 can inline. */
function measure([items, judge], valid) {
    const start = process.cpuUsage();
    for (let count = items.length; ; count += items.length) {
        for (const item of items)
            if (judge(item) !== valid)
                throw new Error('a body has been judged wrongly');
        const { user, system } = process.cpuUsage(start);
        if (user + system >= SLICE_MICROSECONDS)
            return (user + system) / count;
    }
}

function answer(name, way) {
    const subject = subjects.get(name);
    for (let i = 0; i < WARM_UP_SLICES && !subject.warm.has(way); i++)
        measure(subject.ways[way], subject.valid);
    subject.warm.add(way);
    return measure(subject.ways[way], subject.valid).toFixed(4);
}

console.log(`ajv ${versionOf('ajv')} with ajv-formats ${versionOf('ajv-formats')} on Node ${process.versions.node}`);
for await (const line of readline.createInterface({ input: process.stdin })) {
    if (line.startsWith('{'))
        prepare(JSON.parse(line));
    else
        console.log(answer(...line.split(' ')));
}
