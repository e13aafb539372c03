// The application behind policy.yaml: users in memory, by node:http alone, and not a
// line about headers, origins, limits or tokens. What gets here was judged; who is
// calling stands in Remote-User and Auth-Roles, which no client can send.
import { createHmac, randomBytes, randomUUID, scryptSync, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const secret = readFileSync(process.env.JWT_SECRET_FILE ?? '/etc/fcgiguard/jwt.key', 'utf8').replace(/\n$/, '');
const users = new Map();

function hash(password, salt = randomBytes(16)) {
  return { salt, digest: scryptSync(password, salt, 32) };
}

function add({ email, name, password, role = 'member' }) {
  const user = { id: randomUUID(), email, name, role, password: hash(password) };
  users.set(user.id, user);
  return user;
}

function tokenFor(user) {
  const now = Math.floor(Date.now() / 1000);
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({
    iss: 'api.example.com', aud: 'api.example.com', sub: user.id, role: user.role, iat: now, exp: now + 3600,
  })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

function shown({ password, ...user }) {
  return user;
}

function login({ email, password }) {
  const user = [...users.values()].find((one) => one.email === email);
  const wanted = user?.password ?? hash('nobody');
  const same = timingSafeEqual(hash(password, wanted.salt).digest, wanted.digest);
  return user && same ? [200, { token: tokenFor(user) }] : [401, { error: 'invalid_credentials' }];
}

function list(query) {
  const filter = Object.fromEntries(query);
  const found = [...users.values()].filter((user) => Object.keys(filter).every((key) => user[key] === filter[key]));
  return [200, { filter, users: found.map(shown) }];
}

function report() {
  throw new Error('no report in /srv/users/reports'); // as programs do
}

async function bodyOf(request) {
  let text = '';
  for await (const piece of request.setEncoding('utf8')) text += piece;
  if ((request.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded'))
    return Object.fromEntries(new URLSearchParams(text));
  return text ? JSON.parse(text) : {};
}

async function answer(request) {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  const id = pathname.match(/^\/api\/users\/([^/]+)$/)?.[1];
  const body = await bodyOf(request);
  switch (`${request.method} ${id ? '/api/users/{id}' : pathname}`) {
    case 'GET /api/health': return [200, { status: 'healthy' }];
    case 'GET /api/reports': return report();
    case 'POST /api/auth/login': return login(body);
    case 'GET /api/users': return list(searchParams);
    case 'POST /api/users': return [201, { message: 'User created successfully', userId: add(body).id }];
  }
  const user = users.get(id);
  if (!user) return [404, { error: 'not_found' }];
  if (request.method === 'DELETE') users.delete(id);
  else if (request.method === 'PUT') Object.assign(user, body);
  return request.method === 'DELETE' ? [204] : [200, shown(user)];
}

add({ email: 'admin@example.com', name: 'Admin', password: process.env.ADMIN_PASSWORD, role: 'admin' });
createServer(async (request, response) => {
  let reply;
  try {
    reply = await answer(request);
  } catch (error) {
    reply = [500, { error: error.stack }]; // nobody but the log gets to see it
  }
  response.writeHead(reply[0], { 'Content-Type': 'application/json', 'X-Powered-By': 'Express' });
  response.end(reply[1] && JSON.stringify(reply[1]));
}).listen(3000, '127.0.0.1');
