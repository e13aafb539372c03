// The usual stack of Express 4 for POST /api/users: node express_users.js PORT WORKERS SECRET.
// Its middlewares stand in the usual order, and a limit of nothing at /over/.
'use strict';
const cluster = require('cluster');
const crypto = require('crypto');
const fs = require('fs');
const express = require('express');
const { rateLimit } = require('express-rate-limit');
const jwt = require('jsonwebtoken');
const validator = require('validator');

const [port, workers, secretFile] = process.argv.slice(2);
const secret = fs.readFileSync(secretFile, 'utf8');

function limiter(limit) {
  return rateLimit({
    windowMs: 60 * 60 * 1000, limit, standardHeaders: true, legacyHeaders: false, validate: { limit: false },
    handler: (request, response) => response.status(429).json({
      error: 'rate_limit_exceeded', message: 'Too many requests, please try again later',
      retryAfter: request.rateLimit.resetTime,
    }),
  });
}

function cors() {
  const allowed = ['https://example.com', 'https://app.example.com'];
  return require('cors')({
    origin: (origin, done) => (!origin || allowed.includes(origin) ? done(null, true) : done(new Error('Not allowed by CORS'))),
    credentials: true, optionsSuccessStatus: 200, methods: ['GET', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: ['Content-Type', 'Authorization'],
  });
}

function identify(request, response, next) {
  request.id = crypto.randomUUID();
  response.setHeader('X-Request-ID', request.id);
  next();
}

function log(request, response, next) {
  const started = Date.now();
  response.on('finish', () => {
    const entry = {
      timestamp: new Date().toISOString(), requestId: request.id, method: request.method, path: request.path,
      statusCode: response.statusCode, duration: Date.now() - started, ip: request.ip, userAgent: request.get('user-agent'),
    };
    if (response.statusCode === 401 || response.statusCode === 403) console.warn('Security event:', entry);
    if (response.statusCode >= 500) console.error('Server error:', entry);
  });
  next();
}

function authenticate(request, response, next) {
  const header = request.headers.authorization;
  if (!header || !header.startsWith('Bearer '))
    return response.status(401).json({ error: 'unauthorized', message: 'Missing or invalid authorization header' });
  try {
    request.user = jwt.verify(header.substring(7), secret,
      { algorithms: ['HS256'], issuer: 'api.example.com', audience: 'api.example.com' });
  } catch (error) {
    return response.status(401).json(error.name === 'TokenExpiredError'
      ? { error: 'token_expired', message: 'Token has expired' } : { error: 'invalid_token', message: 'Invalid token' });
  }
  next();
}

function authorize(role) {
  return (request, response, next) => (request.user.role === role
    ? next() : response.status(403).json({ error: 'forbidden', message: 'Insufficient permissions' }));
}

function validateInput(schema) {
  return (request, response, next) => {
    const errors = [];
    for (const [field, rules] of Object.entries(schema)) {
      const value = request.body[field];
      if (rules.required && !value) errors.push(`${field} is required`);
      if (!value) continue;
      if (rules.type === 'email' && !validator.isEmail(value)) errors.push(`${field} must be a valid email`);
      if (rules.minLength && value.length < rules.minLength) errors.push(`${field} must be at least ${rules.minLength} characters`);
      if (rules.maxLength && value.length > rules.maxLength) errors.push(`${field} must be at most ${rules.maxLength} characters`);
      if (rules.pattern && !rules.pattern.test(value)) errors.push(`${field} format is invalid`);
    }
    if (errors.length > 0)
      return response.status(400).json({ error: 'validation_error', message: 'Input validation failed', details: errors });
    next();
  };
}

function serve() {
  const app = express();
  app.set('trust proxy', 'loopback');
  app.use(require('helmet')());
  app.use(cors());
  app.use('/api/', limiter(1e9));
  app.use('/over/', limiter(0));
  app.use(express.json({ limit: '10kb' }));
  app.use(express.urlencoded({ extended: true, limit: '10kb' }));
  app.use(require('express-mongo-sanitize')());
  app.use(require('xss-clean')());
  app.use(require('hpp')());
  app.use(identify);
  app.use(log);
  app.post('/api/users', authenticate, authorize('admin'),
    validateInput({
      email: { required: true, type: 'email' },
      name: { required: true, minLength: 2, maxLength: 100, pattern: /^[^<>]*$/ },
      password: { required: true, minLength: 8 },
    }),
    (request, response) => response.status(201).json({ message: 'User created successfully', userId: '123' }));
  app.use((error, request, response, next) => { // eslint-disable-line no-unused-vars
    console.error('Unhandled error:', error);
    response.status(500).json({ error: 'internal_error', message: 'An unexpected error occurred', requestId: request.id });
  });
  app.listen({ port: Number(port), host: '127.0.0.1', backlog: 511 }).keepAliveTimeout = 600 * 1000;
}

if (Number(workers) > 1 && cluster.isPrimary)
  for (let i = 0; i < Number(workers); i++) cluster.fork();
else
  serve();
