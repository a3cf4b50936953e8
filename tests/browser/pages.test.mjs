// Properties of each page: a title, German, life without JavaScript, search, live parts, times of the owner, no motion.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Owner, launch } from './browser.mjs';
import { Gateway } from './gateway.mjs';
import { PAGES, activity, copy, navigation } from './pages.mjs';
import { seed } from './seed.mjs';

let browser;
let gateway;
let seeded;

before(async () => {
  [browser, gateway] = await Promise.all([launch(), Gateway.start()]);
  seeded = await seed(gateway);
});

after(async () => {
  await Promise.all([browser?.close(), gateway?.stop()]);
});

test('pages_have_one_title_heading_and_language', async () => {
  const owner = await Owner.sit(browser, gateway);
  await owner.enter();
  const titles = new Set();
  for (const [name, target, title] of PAGES) {
    await owner.goto(target);
    assert.match(await owner.page.title(), new RegExp(title), name);
    titles.add(await owner.page.title());
    assert.equal(await owner.page.getByRole('heading', { level: 1 }).count(), 1, name);
    assert.equal(await owner.page.locator('html').getAttribute('lang'), 'en', name);
  }
  assert.equal(titles.size, PAGES.length);
  await owner.leave();
});

test('german_pages_have_no_violation', async () => {
  const owner = await Owner.sit(browser, gateway, { locale: 'de-DE' });
  await owner.enter();
  for (const [name, target] of PAGES) {
    await owner.goto(target);
    assert.equal(await owner.page.locator('html').getAttribute('lang'), 'de', name);
    assert.deepEqual(await owner.violations(), [], name);
    await owner.page.setViewportSize({ width: 360, height: 740 });
    assert.equal(await owner.overflow(), null, name);
  }
  await owner.leave();
});

test('language_is_the_choice_of_the_owner', async () => {
  const owner = await Owner.sit(browser, gateway);
  await owner.enter();
  await navigation.language(owner.page).getByRole('combobox').selectOption('de');
  await navigation.language(owner.page).getByRole('button').click();
  await owner.page.getByRole('heading', { level: 1, name: 'Übersicht' }).waitFor();
  await owner.goto('/keys');
  assert.equal(await owner.page.locator('html').getAttribute('lang'), 'de');
  await owner.leave();
});

test('pages_work_without_javascript', async () => {
  const owner = await Owner.sit(browser, gateway, { javaScriptEnabled: false });
  await owner.enter();
  for (const [name, target] of PAGES) {
    const response = await owner.goto(target);
    assert.equal(response.status(), 200, name);
    await owner.page.getByRole('heading', { level: 1 }).waitFor();
    // A button that only a script serves is not shown.
    assert.equal(await owner.page.getByRole('button', { name: /^Copy/ }).filter({ visible: true }).count(), 0, name);
  }
  await owner.goto('/people');
  await owner.page.getByRole('searchbox').fill('ada');
  await owner.page.getByRole('searchbox').press('Enter');
  await owner.page.waitForLoadState();
  assert.match(owner.page.url(), /q=ada/);
  assert.match(await owner.page.locator('main').innerText(), /Ada Lovelace/);
  assert.doesNotMatch(await owner.page.locator('main').innerText(), /Grace Hopper/);
  await owner.page.locator('main').getByRole('link', { name: /Ada Lovelace/ }).first().click();
  await owner.page.getByRole('heading', { level: 1, name: /Ada Lovelace/ }).waitFor();
  await owner.leave();
});

/** Filters by a person and a team, and checks that the page says so. */
async function filterByName(owner) {
  await activity.filter(owner.page, 'Team').fill('guests');
  await activity.filter(owner.page, 'Status').selectOption('2xx');
  await activity.show(owner.page).click();
  await owner.page.waitForURL(/\/activity\?person=[0-9a-f-]{36}&team=[0-9a-f-]{36}&status=2xx$/);
  const entries = await activity.entries(owner.page).allInnerTexts();
  assert.ok(entries.length >= 2, 'the page has the requests');
  for (const entry of entries) assert.match(entry, /charles\.babbage@example\.com.*Guests/);
  await owner.page.getByRole('link', { name: 'Remove Person' }).click();
  await owner.page.waitForURL(/\/activity\?team=[0-9a-f-]{36}&status=2xx$/);
}

test('activity_is_filtered_by_names_as_the_owner_types', async () => {
  const owner = await Owner.sit(browser, gateway);
  await owner.enter();
  await owner.goto('/activity');
  await activity.filter(owner.page, 'Person').pressSequentially('charles', { delay: 30 });
  await activity.offered(owner.page, 'Person').filter({ hasText: 'Charles Babbage' }).waitFor({ state: 'attached' });
  assert.equal(await activity.offered(owner.page, 'Person').count(), 1);
  await filterByName(owner);
  await owner.leave();
});

test('activity_is_filtered_by_names_without_javascript', async () => {
  const owner = await Owner.sit(browser, gateway, { javaScriptEnabled: false });
  await owner.enter();
  await owner.goto('/activity');
  await activity.filter(owner.page, 'Person').fill('ada');
  await activity.show(owner.page).click();
  await owner.page.getByText('Several people have').waitFor();
  assert.equal(await activity.entries(owner.page).count(), 0);
  await owner.page.getByRole('link', { name: 'Ada Lovelace' }).click();
  await owner.page.waitForURL(/\/activity\?person=[0-9a-f-]{36}$/);
  assert.ok((await activity.entries(owner.page).count()) >= 2);
  await owner.goto('/activity');
  await activity.filter(owner.page, 'Person').fill('charles.babbage@example.com');
  await filterByName(owner);
  await owner.leave();
});

test('copied_value_is_announced', async () => {
  const owner = await Owner.sit(browser, gateway);
  await owner.enter();
  await owner.goto('/connection/okta');
  await copy(owner.page, 'SCIM connector base URL').click();
  const announced = owner.page.getByRole('status').getByText('Copied: SCIM connector base URL');
  await announced.waitFor();
  await announced.waitFor({ state: 'detached' });
  await owner.leave();
});

test('pages_of_a_list_show_each_person_once', async () => {
  const owner = await Owner.sit(browser, gateway);
  await owner.enter();
  await owner.goto('/people');
  const seen = [];
  for (;;) {
    seen.push(...(await owner.page.locator('main a[href*="/people/"]').evaluateAll((links) => [...new Set(links.map((link) => link.pathname.split('/').at(-1)))])));
    const next = owner.page.getByRole('link', { name: 'Next page' });
    if (!(await next.count())) break;
    await next.click();
    await owner.page.waitForLoadState();
    assert.ok(seen.length < 1000);
  }
  assert.equal(new Set(seen).size, seen.length);
  assert.deepEqual(new Set(seen), new Set([...seeded.people, seeded.guest]));
  await owner.leave();
});

test('search_finds_people_while_the_owner_types', async () => {
  const owner = await Owner.sit(browser, gateway);
  await owner.enter();
  await owner.goto('/people');
  await owner.page.evaluate(() => { window.scimStays = true; });
  await owner.page.getByRole('searchbox').pressSequentially('charles', { delay: 30 });
  await owner.page.locator('main').getByText('Grace Hopper').first().waitFor({ state: 'hidden' });
  await owner.page.locator('main').getByText(/charles/i).first().waitFor();
  await owner.page.waitForURL(/\/people\?q=charles$/);
  assert.ok(await owner.page.evaluate(() => window.scimStays), 'the page was loaded again');

  await owner.page.locator('main a[href*="/people/"]').first().click();
  await owner.page.waitForURL(/\/people\/[^?]+$/);
  await owner.page.goBack();
  assert.equal(await owner.page.getByRole('searchbox').inputValue(), 'charles', 'Back keeps the search');
  await owner.leave();
});

test('activity_shows_requests_while_they_come', async () => {
  const owner = await Owner.sit(browser, gateway);
  await owner.enter();
  await owner.goto('/activity');
  await owner.page.evaluate(() => { window.scimStays = true; });
  await seeded.okta.assign('new.arrival@example.com');
  // Rows that appear by themselves would move what the owner reads, so the page offers them.
  const news = activity.news(owner.page);
  await news.waitFor({ timeout: 15_000 });
  assert.ok(await owner.page.evaluate(() => window.scimStays), 'the page was loaded again');
  assert.ok((await owner.shift()) < 0.05, `the page jumps: ${await owner.shift()}`);
  await news.click();
  await owner.page.locator('main').getByText(/new\.arrival@example\.com/).first().waitFor();
  await owner.leave();
});

/** Returns the hour and minute of a time in Tokyo, which is nine hours from UTC. */
const hours = (time) => new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: 'Asia/Tokyo' }).format(new Date(time));

test('charts_are_in_the_zone_of_the_owner_at_the_first_visit', async () => {
  const owner = await Owner.sit(browser, gateway, { timezoneId: 'Asia/Tokyo' });
  let loads = 0;
  owner.context.on('response', (response) => { loads += response.url().endsWith('/console/overview') && response.status() === 200; });
  await owner.enter();
  await owner.page.getByText('Times are in the zone Asia/Tokyo.').waitFor();
  // The axis begins at the oldest of 48 hours.
  const labels = await owner.page.locator('.chart-wide svg').first().locator('text').allTextContents();
  const oldest = hours(new Date(Date.now() - 47 * 3_600_000).setUTCMinutes(0));
  assert.ok(labels.some((label) => label.trim() === oldest), `${labels} at ${oldest}`);
  assert.equal(loads, 2);
  await owner.goto('/overview');
  await owner.page.getByText('Times are in the zone Asia/Tokyo.').waitFor();
  assert.equal(loads, 3, 'the page is loaded once more at the first visit alone');
  await owner.leave();
});

test('page_is_loaded_once_if_the_browser_refuses_the_cookie', async () => {
  const owner = await Owner.sit(browser, gateway, { timezoneId: 'Asia/Tokyo' });
  await owner.context.addInitScript(() => Object.defineProperty(document, 'cookie', { get: () => '', set: () => {} }));
  let loads = 0;
  owner.context.on('response', (response) => { loads += response.url().endsWith('/console/overview') && response.status() === 200; });
  await owner.enter();
  await owner.page.waitForLoadState('networkidle');
  assert.equal(loads, 1);
  await owner.leave();
});

test('times_are_in_the_zone_of_the_owner', async () => {
  const owner = await Owner.sit(browser, gateway, { timezoneId: 'Asia/Tokyo' });
  await owner.enter();
  await owner.goto('/activity');
  const [stored, text] = await owner.page.locator('main time[datetime]').first().evaluate((element) => [element.dateTime, element.textContent]);
  assert.ok(text.includes(hours(stored)), `${text} for ${stored}`);
  await owner.page.getByText('Times are in the zone Asia/Tokyo.').waitFor();
  // The charts are drawn by the server, which knows the name of the zone from now on.
  await owner.goto('/overview');
  await owner.page.getByText('Times are in the zone Asia/Tokyo.').waitFor();
  const [drawnFor, drawn] = await owner.page.locator('main time[datetime]').first().evaluate(async (element) => {
    const page = await (await fetch(location.href)).text();
    return [element.dateTime, new DOMParser().parseFromString(page, 'text/html').querySelector(`time[datetime="${element.dateTime}"]`)?.textContent];
  });
  assert.ok(drawn.endsWith(`, ${hours(drawnFor)}`), `${drawn} for ${drawnFor}`);
  await owner.leave();
});

test('reduced_motion_moves_nothing', async () => {
  const owner = await Owner.sit(browser, gateway, { reducedMotion: 'reduce' });
  await owner.enter();
  for (const [name, target] of PAGES) {
    await owner.goto(target);
    const moving = await owner.page.evaluate(() => document.getAnimations().filter((animation) => animation.playState === 'running').length);
    assert.equal(moving, 0, name);
  }
  await owner.leave();
});

test('activity_of_a_request_explains_its_error', async () => {
  const owner = await Owner.sit(browser, gateway);
  await owner.enter();
  await owner.goto('/activity?outcome=failed');
  assert.ok((await activity.entries(owner.page).count()) >= 4);
  const entries = await activity.entries(owner.page).evaluateAll((links) => [...new Set(links.map((link) => link.href))]);
  for (const entry of entries.slice(0, 6)) {
    await owner.page.goto(entry);
    const remedy = owner.page.locator('main dt').filter({ hasText: /^Remedy$/ });
    assert.ok(await remedy.isVisible(), entry);
    assert.match(await remedy.locator('xpath=following-sibling::dd[1]').innerText(), /^\S.*\.$/, entry);
    assert.deepEqual(await owner.violations(), [], entry);
  }
  await owner.leave();
});
