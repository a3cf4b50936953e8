// Starts the local gateway as README.md says, and asks its management API for what a vendor's back end asks for.

import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = path.resolve(import.meta.dirname, '../..');

export const ORGANISATION = 'acme';

export class Gateway {
  #process;
  #directory;
  #output = '';

  /** Starts a gateway on a free port, with everything in memory. */
  static start(...options) {
    return Gateway.startWith({}, ...options);
  }

  /** Does the same with these environment variables. */
  static async startWith(env, ...options) {
    const gateway = new Gateway();
    const program = process.env.SCIM_LOCAL ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target'), 'debug/scim-local');
    gateway.#directory = await mkdtemp(path.join(tmpdir(), 'scim-browser-'));
    const data = gateway.#directory;
    const child = spawn(program, ['--memory', '--data', data, '--port', '0', ...options], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    gateway.#process = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { gateway.#output += bytes; });
    let spawned = null;
    child.on('error', (error) => { spawned = error; });
    const file = path.join(data, 'connection.env');
    const end = Date.now() + 60_000;
    for (;;) {
      if (spawned) throw spawned;
      if (child.exitCode !== null || Date.now() > end) throw new Error(`The gateway did not start.\n${gateway.#output}`);
      const text = await readFile(file, 'utf8').catch(() => '');
      // The file is complete once the gateway has printed its introduction.
      if (text.trim() && gateway.#output.includes('Press Ctrl-C')) {
        gateway.#read(text);
        return gateway;
      }
      await sleep(50);
    }
  }

  #read(text) {
    const values = Object.fromEntries(
      [...text.matchAll(/^(?:export )?(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value.replace(/^(['"])(.*)\1$/, '$2')]),
    );
    this.baseUrl = values.SCIM_BASE_URL;
    this.token = values.SCIM_TOKEN;
    this.adminUrl = values.SCIM_ADMIN_URL;
    this.adminToken = values.SCIM_ADMIN_TOKEN;
    this.dynamodb = { url: values.AWS_ENDPOINT_URL_DYNAMODB, accessKey: values.AWS_ACCESS_KEY_ID };
    this.consoleUrl = values.SCIM_CONSOLE_LINK;
    this.origin = new URL(this.baseUrl).origin;
    this.console = this.consoleUrl?.replace(/\/enter\?.*/, '') ?? `${this.origin}/console`;
  }

  /** All that the gateway has printed and logged. */
  get output() {
    return this.#output;
  }

  /** Sends a request to the management API and returns the status and the parsed body. */
  async admin(method, target, body) {
    const response = await fetch(this.adminUrl + target, {
      method,
      headers: { authorization: `Bearer ${this.adminToken}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null };
  }

  /** Does the same for a request that must succeed. */
  async manage(method, target, body) {
    const answer = await this.admin(method, target, body);
    if (answer.status >= 300) throw new Error(`${method} ${target}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Asks for a set-up link, as a vendor's back end does, and returns its URL. */
  async link(fields) {
    return (await this.session(fields)).url;
  }

  /** Asks for a set-up link and returns it with the id that its session has. */
  session({ org = ORGANISATION, role = 'owner', intent = 'overview', ...others } = {}) {
    return this.manage('POST', `/orgs/${org}/links`, { role, intent, ...others });
  }

  /** Creates an organisation. */
  async organisation(org) {
    await this.manage('POST', '/orgs', { org });
    return org;
  }

  /** Creates a key by the management API and returns it with its secret. */
  async key({ org = ORGANISATION, scopes = ['scim'], ...others } = {}) {
    return this.manage('POST', `/orgs/${org}/keys`, { scopes, ...others });
  }

  /** Sends an operation to the DynamoDB of the gateway, which checks no signature. */
  async #dynamodb(operation, body) {
    const response = await fetch(this.dynamodb.url, {
      method: 'POST',
      headers: {
        'x-amz-target': `DynamoDB_20120810.${operation}`,
        'content-type': 'application/x-amz-json-1.0',
        authorization: `AWS4-HMAC-SHA256 Credential=${this.dynamodb.accessKey}/20261128/local/dynamodb/aws4_request`,
      },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${operation}: ${response.status} ${await response.text()}`);
  }

  /**
   * Puts counts of hours into the request log, because the gateway has the clock of this machine: `n` requests, of which
   * `bad` failed, and `people`. The organisation becomes a month old, because the log shows no hour from before.
   */
  async putHours(hours) {
    const created = new Date(Date.now() - 30 * 86_400_000).toISOString();
    await this.#dynamodb('UpdateItem', {
      TableName: 'scim-keys',
      Key: { pk: { S: `ORG#${ORGANISATION}` }, sk: { S: 'SETTINGS' } },
      UpdateExpression: 'SET created = :created',
      ConditionExpression: 'attribute_exists(created)',
      ExpressionAttributeValues: { ':created': { S: created } },
    });
    for (const { hoursAgo, ...counts } of hours) {
      const hour = new Date(Date.now() - hoursAgo * 3_600_000).toISOString().slice(0, 13);
      const expires = Math.floor(Date.now() / 1_000) + 30 * 86_400;
      const numbers = Object.entries({ ...counts, expires });
      await this.#dynamodb('UpdateItem', {
        TableName: 'scim-requests',
        Key: { pk: { S: `ORG#${ORGANISATION}#HOURS` }, sk: { S: hour } },
        UpdateExpression: `SET ${numbers.map(([name]) => `${name} = :${name}`).join(', ')}`,
        ExpressionAttributeValues: Object.fromEntries(numbers.map(([name, value]) => [`:${name}`, { N: String(value) }])),
      });
    }
  }

  async stop() {
    const child = this.#process;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 8_000);
      await ended;
      clearTimeout(late);
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}
