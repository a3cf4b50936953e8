// Acts as Okta: the requests of tests/fixtures/okta, with the headers of a captured request (User-Agent, Content-Type on GET).

import { GROUP, PATCH, USER, expecting, send } from './scim.mjs';

let count = 0;

export class Okta {
  /** `header` is the whole value of Authorization: Okta's "Header" mode sends the key without a scheme. */
  constructor({ baseUrl, header }) {
    this.baseUrl = baseUrl.replace(/\/$/, '');
    this.header = header;
  }

  request(method, target, body) {
    const headers = {
      'user-agent': 'Okta SCIM Client 1.0.0',
      authorization: this.header,
      accept: 'application/scim+json',
      'accept-charset': 'utf-8',
      'content-type': 'application/scim+json; charset=utf-8',
    };
    return send(method, this.baseUrl + target, headers, body);
  }

  /** The button "Test API Credentials". */
  async testCredentials() {
    const users = await this.request('GET', '/Users?startIndex=1&count=2');
    if (users.status !== 200) return users;
    return this.request('GET', '/Groups?startIndex=1&count=100');
  }

  /** The query that comes before a person is created. */
  find(userName) {
    const filter = encodeURIComponent(`userName eq ${JSON.stringify(userName)}`);
    return this.request('GET', `/Users?filter=${filter}&startIndex=1&count=100`);
  }

  /** Assigns a person to the application, and returns the id. */
  async assign(userName, attributes = {}) {
    expecting(await this.find(userName), 200);
    const [given, family] = userName.split('@')[0].split('.').concat('Example');
    const answer = await this.request('POST', '/Users', {
      schemas: [USER],
      userName,
      name: { givenName: given, familyName: family },
      emails: [{ primary: true, value: userName, type: 'work' }],
      displayName: `${given} ${family}`,
      locale: 'en-US',
      externalId: `00u${String(++count).padStart(17, '0')}`,
      groups: [],
      password: '1mz050nq',
      active: true,
      ...attributes,
    });
    return expecting(answer, 201).body.id;
  }

  /** Removes the assignment of a person. */
  async unassign(id) {
    expecting(await this.request('GET', `/Users/${id}`), 200);
    return expecting(
      await this.request('PATCH', `/Users/${id}`, { schemas: [PATCH], Operations: [{ op: 'replace', value: { active: false } }] }),
      200,
      204,
    );
  }

  /** Pushes a group and its members, and returns the id. */
  async push(displayName, members) {
    const filter = encodeURIComponent(`displayName eq ${JSON.stringify(displayName)}`);
    expecting(await this.request('GET', `/Groups?filter=${filter}&startIndex=1&count=100`), 200);
    const created = expecting(await this.request('POST', '/Groups', { schemas: [GROUP], displayName, members: [] }), 201);
    const { id } = created.body;
    const Operations = [
      { op: 'replace', value: { id, displayName } },
      { op: 'add', path: 'members', value: members.map((value) => ({ value })) },
    ];
    expecting(await this.request('PATCH', `/Groups/${id}`, { schemas: [PATCH], Operations }), 200, 204);
    return id;
  }

  /** Removes a member from a pushed group. */
  async takeOut(group, member) {
    const Operations = [{ op: 'remove', path: `members[value eq "${member}"]` }];
    return expecting(await this.request('PATCH', `/Groups/${group}`, { schemas: [PATCH], Operations }), 200, 204);
  }
}
