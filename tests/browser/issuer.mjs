// A fake Entra tenant on a loopback address: it serves its keys and signs tokens with RS256 or ES256.

import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer } from 'node:http';

const KEYS = {
  RS256: { ...generateKeyPairSync('rsa', { modulusLength: 2048 }), kid: 'rsa-1' },
  ES256: { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }), kid: 'ec-1' },
};

const text = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export class Issuer {
  #server;

  constructor() {
    this.tenant = randomUUID();
    this.subject = randomUUID();
    this.application = randomUUID();
    this.audience = 'api://AzureADTokenExchange';
  }

  static async start() {
    const issuer = new Issuer();
    const keys = Object.values(KEYS).map(({ publicKey, kid }) => ({ ...publicKey.export({ format: 'jwk' }), use: 'sig', kid }));
    issuer.#server = createServer((request, response) => {
      const documents = {
        '/v2.0/.well-known/openid-configuration': { issuer: issuer.url, jwks_uri: `${issuer.origin}/discovery/v2.0/keys` },
        '/discovery/v2.0/keys': { keys },
      };
      const path = request.url.replace(`/${issuer.tenant}`, '');
      response.writeHead(documents[path] ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(documents[path] ?? {}));
    });
    await new Promise((resolve) => issuer.#server.listen(0, '127.0.0.1', resolve));
    issuer.origin = `http://127.0.0.1:${issuer.#server.address().port}/${issuer.tenant}`;
    issuer.url = `${issuer.origin}/v2.0`;
    return issuer;
  }

  /** Signs a token that lasts an hour. */
  token(algorithm = 'RS256', claims = {}) {
    const { privateKey, kid } = KEYS[algorithm];
    const now = Math.floor(Date.now() / 1000);
    const content = [
      text({ alg: algorithm, typ: 'JWT', kid }),
      text({
        iss: this.url, sub: this.subject, aud: this.audience, tid: this.tenant, azp: this.application, ver: '2.0',
        iat: now, nbf: now, exp: now + 3600, jti: randomUUID(),
        ...claims,
      }),
    ].join('.');
    const signature = sign('sha256', Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${content}.${signature.toString('base64url')}`;
  }

  stop() {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(resolve));
  }
}
