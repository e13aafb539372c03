"""The usual FastAPI application for POST /api/users, with pydantic and PyJWT; its
secret is in the file that $SECRET_FILE names. Debian has no limiter for it."""

import os
import pathlib
import re

import jwt
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, EmailStr, Field, validator

SECRET = pathlib.Path(os.environ["SECRET_FILE"]).read_text()
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "1; mode=block",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Content-Security-Policy": "default-src 'self'",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), camera=()",
}

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["https://example.com", "https://app.example.com"], allow_credentials=True,
                   allow_methods=["GET", "POST", "PUT", "DELETE"], allow_headers=["Content-Type", "Authorization"], max_age=3600)
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost"])


@app.middleware("http")
async def add_headers(request, call_next):
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response


class User(BaseModel):
    email: EmailStr
    name: str = Field(..., min_length=2, max_length=100)
    password: str = Field(..., min_length=8)

    @validator("password")
    def is_strong(cls, value):
        for pattern, what in (("[A-Z]", "an uppercase letter"), ("[a-z]", "a lowercase letter"), (r"\d", "a digit"),
                              ("[!@#$%^&*]", "a special character")):
            if not re.search(pattern, value):
                raise ValueError(f"Password must contain {what}")
        return value

    @validator("name")
    def is_plain(cls, value):
        if re.search("[<>]", value):
            raise ValueError("Name contains invalid characters")
        return value


def verified(credentials: HTTPAuthorizationCredentials = Security(HTTPBearer(auto_error=False))):
    if not credentials:
        raise HTTPException(401, "Not authenticated")
    try:
        return jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"], audience="api.example.com", issuer="api.example.com")
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Invalid token")


def admin(claims: dict = Depends(verified)):
    if claims.get("role") != "admin":
        raise HTTPException(403, "Insufficient permissions")
    return claims


@app.post("/api/users", status_code=201)
async def create_user(user: User, claims: dict = Depends(admin)):
    return {"message": "User created successfully", "userId": "123"}
