/*
 * Makes express.json: what npm's express-rate-limit decides, with its MemoryStore,
 * on arrivals that a seed chooses. The tests read only that file. It was made with
 * express-rate-limit 8.7.5 and Node 20. To make it anew, in a folder outside the
 * tree (the same versions make the same bytes):
 *
 *     npm install express-rate-limit@8.7.5
 *     cp SOURCE/tests/data/limits/make_express.mjs . && node make_express.mjs >express.json
 *
 * Date and setInterval are those of node:test's mock timers, so that its store
 * runs on a clock that stands still but for tick(). Requests and replies are the
 * least that the middleware looks at; it is not told what to decide.
 *
 * An event is ["take", ms, key, admitted, remaining, ms until reset, Retry-After or 0] or
 * ["reply", ms, which take, status]. express-rate-limit counts what it refuses as failures,
 * and with skipSuccessfulRequests what succeeds then makes no room; fcgiguard's refusals take
 * nothing. So there, nothing succeeds that was under way when another was refused.
 */
import assert from 'node:assert';
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import { mock } from 'node:test';
import { rateLimit } from 'express-rate-limit';

const VERSION = JSON.parse(fs.readFileSync('node_modules/express-rate-limit/package.json')).version;
const START = 1767225600000; // 2026-01-01
const SCHEDULES = 40; // of each way to count
const TAKES = 40;
const KEYS = 3;
const GOOD = [200, 201, 204, 301, 304, 399];
const BAD = [400, 401, 404, 418, 500, 503];
const OPTIONS = { all: {}, failures: { skipSuccessfulRequests: true }, successes: { skipFailedRequests: true } };

let randomness = 0;
const below = (bound) => { // mulberry32
    randomness = (randomness + 0x6d2b79f5) | 0;
    let number = Math.imul(randomness ^ (randomness >>> 15), 1 | randomness);
    number = (number + Math.imul(number ^ (number >>> 7), 61 | number)) ^ number;
    return ((number ^ (number >>> 14)) >>> 0) % bound;
};
const one = (list) => list[below(list.length)];

class Reply extends EventEmitter {
    statusCode = 200;
    headersSent = false;
    writableEnded = false;
    headers = {};
    setHeader(name, value) { this.headers[name.toLowerCase()] = String(value); }
    append(name, value) { this.setHeader(name, value); }
    status(code) { this.statusCode = code; return this; }
    send() {
        this.headersSent = this.writableEnded = true;
        this.emit('finish');
        this.emit('close');
    }
}

/* Until all that was promised is done; setImmediate is the real one. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

async function schedule(count, seed) {
    randomness = seed;
    const limit = below(12) === 0 ? 0 : 1 + below(6);
    const window = one([1000, 1001, 5000, 60000, 900000]);
    const limiter = rateLimit({
        limit, windowMs: window, keyGenerator: (request) => request.key, standardHeaders: 'draft-7', legacyHeaders: false,
        validate: false, ...OPTIONS[count],
    });
    const events = [];
    let underWay = [], takes = 0, end = 0;

    const reply = async (request) => {
        underWay = underWay.filter((other) => other !== request);
        const spoiled = count === 'failures' && request.refusedMeanwhile;
        request.reply.status(one(spoiled || below(2) ? BAD : GOOD)).send();
        await settled();
        events.push(['reply', Date.now() - START, request.take, request.reply.statusCode]);
    };
    const take = async () => {
        const request = { key: `k${below(KEYS)}`, reply: new Reply(), take: takes++ };
        let admitted = false;
        await limiter(request, request.reply, () => { admitted = true; });
        await settled();
        assert.strictEqual(request.reply.statusCode, admitted ? 200 : 429);
        const { remaining, resetTime } = request.rateLimit;
        const reset = resetTime.getTime() - Date.now();
        events.push(['take', Date.now() - START, request.key, admitted, remaining, reset, Number(request.reply.headers['retry-after'] ?? 0)]);
        if (admitted)
            underWay.push(request);
        else
            underWay.forEach((other) => { other.refusedMeanwhile ||= other.key === request.key; });
        end = below(4) ? end : resetTime.getTime();
    };

    while (takes < TAKES || underWay.length > 0) {
        const untilEnd = end - Date.now(); // a millisecond around the end of a window is where it matters
        const near = untilEnd > 0 && below(3) === 0 ? Math.max(untilEnd - 1 + below(3), 0) : 0;
        mock.timers.tick(near || one([0, 0, 0, 1, below(50), below(window), below(window >> 2), below(40) ? 0 : 3 * window]));
        if (underWay.length > 0 && (takes >= TAKES || below(5) < 2))
            await reply(one(underWay));
        else
            await take();
    }
    return { count, seed, limit, window, events };
}

const schedules = [];
for (const count of Object.keys(OPTIONS)) {
    for (let seed = 1; seed <= SCHEDULES; seed++) {
        mock.timers.enable({ apis: ['setInterval', 'Date'], now: START });
        schedules.push(JSON.stringify(await schedule(count, seed)));
        mock.timers.reset();
    }
}
process.stdout.write(`{"made_by": "express-rate-limit ${VERSION}", "schedules": [\n${schedules.join(',\n')}\n]}\n`);
