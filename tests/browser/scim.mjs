// The part that both drivers share: one request to the service, as an identity provider sends it.

export const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
export const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
export const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';

export async function send(method, url, headers, body) {
  const response = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await response.text();
  let parsed = null;
  try {
    parsed = text ? JSON.parse(text) : null;
  } catch {
    parsed = text;
  }
  return { status: response.status, body: parsed };
}

/** Returns the answer if it has one of these statuses. */
export function expecting(answer, ...statuses) {
  if (!statuses.includes(answer.status)) throw new Error(`The service answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer;
}
