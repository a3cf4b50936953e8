// Fills an organisation as identity providers do, so that the pages have something to show.

import { Entra } from './entra.mjs';
import { Okta } from './okta.mjs';

const GIVEN = ['Ada', 'Grace', 'Alan', 'Katherine', 'Edsger', 'Barbara', 'Donald', 'Radia', 'Ken', 'Frances'];
const FAMILY = ['Lovelace', 'Hopper', 'Turing', 'Johnson', 'Dijkstra', 'Liskov', 'Knuth', 'Perlman', 'Thompson', 'Allen'];

/** Returns the users, teams and keys that it creates. */
export async function seed(gateway) {
  const [forOkta, forEntra] = [await gateway.key({ label: 'Okta' }), await gateway.key({ label: 'Entra' })];
  const okta = new Okta({ baseUrl: gateway.baseUrl, header: forOkta.key });
  const entra = new Entra({ tenantUrl: `${gateway.baseUrl}?aadOptscim062020`, secretToken: forEntra.key });

  await okta.testCredentials();
  const people = [];
  for (let index = 0; index < 64; index += 1) {
    const [given, family] = [GIVEN[index % 10], FAMILY[Math.floor(index / 7) % 10]];
    people.push(await okta.assign(`${given}.${family}.${index}@example.com`.toLowerCase(), {
      name: { givenName: given, familyName: family },
      displayName: `${given} ${family}`,
    }));
  }
  const teams = [await okta.push('Everyone', people)];
  for (const [index, name] of ['Sales', 'Engineering', 'Support'].entries()) {
    teams.push(await okta.push(name, people.slice(index * 5, index * 5 + 8)));
  }

  await entra.testConnection();
  const guest = await entra.provision('charles.babbage@example.com');
  const guests = await entra.provisionGroup('Guests', [guest, people[0]]);
  await entra.rename(guest, 'Charles Babbage');
  await entra.takeOut(guests, guest);
  await entra.disable(guest);

  // Requests that fail, each in another way.
  await okta.request('POST', '/Users', { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName: 'ada.lovelace.0@example.com' });
  await okta.request('GET', '/Users?filter=userName%20xx%20%22a%22');
  await okta.request('PUT', '/Users/01900000-0000-7000-8000-000000000000', { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName: 'nobody@example.com' });
  await okta.request('PATCH', `/Users/${people[1]}`, { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: [{ op: 'replace', path: 'nothing', value: 1 }] });

  // The hours and days before, so that the charts have more than the present hour.
  const hours = Array.from({ length: 12 }, (_, index) => ({ hoursAgo: 1 + 4 * index, n: 20 + ((index * 7) % 40), bad: index % 3, people: 64 - index }));
  const days = Array.from({ length: 20 }, (_, index) => ({ hoursAgo: 24 * (index + 3), n: 30, bad: 0, people: 50 - 2 * index }));
  // The present hour was counted at its first request, when there was no person.
  await gateway.putHours([...hours, ...days, { hoursAgo: 0, people: 64 }]);

  return { people, teams: [...teams, guests], guest, okta, entra, forOkta, forEntra };
}
