/*
 * What npm's ajv says, for the script beside it: a line of its input is JSON
 * ({"schema": ..., "instances": [...]}), and the answer to it two words of 1, 0 or,
 * where ajv throws, x for each instance: as ajv works by default, and with
 * allErrors. The first line tells the versions.
 */
import fs from 'node:fs';
import readline from 'node:readline';
import addFormats from 'ajv-formats';
import Ajv2020 from 'ajv/dist/2020.js';

const versionOf = (name) => JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version;
const peers = [false, true].map((allErrors) => addFormats(new Ajv2020({ strict: false, logger: false, allErrors })));

function judgeOne(validate, instance) {
    try {
        return validate(instance) ? '1' : '0';
    } catch {
        return 'x';
    }
}

function judge(schema, instances) {
    return peers.map((ajv) => {
        const validate = ajv.compile(schema);
        return instances.map((instance) => judgeOne(validate, instance)).join('');
    }).join(' ');
}

console.log(`ajv ${versionOf('ajv')} with ajv-formats ${versionOf('ajv-formats')} on Node ${process.versions.node}`);
for await (const line of readline.createInterface({ input: process.stdin })) {
    const { schema, instances } = JSON.parse(line);
    console.log(judge(schema, instances));
}
