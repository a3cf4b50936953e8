// A session without a browser: the requests that a browser would not send, such as a form with a wrong token.

import { headerFaults } from './browser.mjs';

export class Session {
  constructor(gateway, cookie) {
    this.gateway = gateway;
    this.cookie = cookie;
  }

  /** Uses a set-up link. */
  static async enter(gateway, link) {
    const response = await fetch(link, { redirect: 'manual' });
    const set = response.headers.getSetCookie();
    const session = new Session(gateway, set.map((cookie) => cookie.split(';')[0]).join('; '));
    session.setCookie = set;
    session.status = response.status;
    session.location = response.headers.get('location');
    return session;
  }

  async request(method, path, form) {
    const response = await fetch(this.gateway.console + path, {
      method,
      redirect: 'manual',
      headers: { cookie: this.cookie, 'accept-language': 'en', origin: this.gateway.origin },
      body: form && new URLSearchParams(form),
    });
    const text = await response.text();
    return { status: response.status, text, headers: Object.fromEntries(response.headers), faults: headerFaults(Object.fromEntries(response.headers)) };
  }

  get(path) {
    return this.request('GET', path);
  }

  /** Returns the token of the forms. */
  async csrf(path = '/overview') {
    const { text } = await this.get(path);
    return /name="csrf"\s+value="([^"]+)"/.exec(text)?.[1] ?? /value="([^"]+)"\s+name="csrf"/.exec(text)?.[1];
  }

  /** Sends a form with the right token. */
  async post(path, form = {}) {
    return this.request('POST', path, { csrf: (await this.csrf()) ?? '', ...form });
  }
}

/** Returns the visible text of a page, roughly. */
export function words(html) {
  return html.replace(/<(script|style|head)\b.*?<\/\1>/gs, ' ').replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ').trim();
}
