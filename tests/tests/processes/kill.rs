//! `kill -9` in the middle of writes: what was acknowledged is there, what was not is wholly there or wholly not.
//!
//! Each writer alone writes its resources, one request after the other, so it knows what may be found of them: the
//! last state that was acknowledged, or the one it was asking for when the gateway died. Rounds go on on one directory.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::Answer;

use crate::program::{Client, Gateway, PATIENCE, Place};

/// Members of the group that is replaced whole: neither half fits one transaction of DynamoDB.
const MEMBERS: usize = 150;
/// Acknowledged writes of each writer before the gateway is killed.
const WARM: usize = 3;
/// In the middle of what takes more than one transaction, early and late; and so anywhere in the writes of the others.
const MOMENTS: [Moment; 6] = [
    Moment("PUT /Groups", 0.1),
    Moment("DELETE /Groups", 0.4),
    Moment("POST /Groups", 0.5),
    Moment("PUT /Groups", 0.5),
    Moment("DELETE /Groups", 0.7),
    Moment("PUT /Groups", 0.9),
];

/// What may be found of a resource.
struct Claim {
    collection: &'static str,
    id: Option<String>,
    /// The states it may be in: the members it must have, among others. `None`: it may not be there.
    states: Vec<Option<Value>>,
}

/// One client of the gateway, and what it wrote.
struct Writer {
    round: usize,
    client: Client,
    killed: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    told: Sender<Told>,
    claims: Vec<Claim>,
}

/// A write that begins, or that ended after so long: `PUT /Groups`.
struct Told {
    write: String,
    took: Option<Duration>,
}

impl Writer {
    fn new(round: usize, client: &Client, killed: &Arc<AtomicBool>, told: &Sender<Told>) -> Self {
        Self {
            round,
            client: client.clone(),
            killed: Arc::clone(killed),
            acknowledged: Arc::default(),
            told: told.clone(),
            claims: Vec::new(),
        }
    }

    fn tell(&self, method: &str, claim: usize, took: Option<Duration>) {
        let write = format!("{method} {}", self.claims[claim].collection);
        // Nobody listens any more once the gateway is killed.
        let _ = self.told.send(Told { write, took });
    }

    /// The answer of success, or `None` if the gateway is dead.
    fn write(&self, method: &str, path: &str, body: &Value) -> Option<Answer> {
        let Some(answer) = self.client.try_send(method, path, body) else {
            assert!(
                self.killed.load(Ordering::SeqCst),
                "no answer to {method} {path} from a gateway that lives"
            );
            return None;
        };
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        Some(answer)
    }

    /// Brings the resource of the claim into that state by a write.
    fn bring(
        &mut self,
        claim: usize,
        state: Option<Value>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Option<Answer> {
        self.claims[claim].states.push(state.clone());
        let began = Instant::now();
        self.tell(method, claim, None);
        let answer = self.write(method, path, body)?;
        self.tell(method, claim, Some(began.elapsed()));
        self.claims[claim].states = vec![state];
        Some(answer)
    }

    /// Creates a resource, of which the claim of that number is about; gives the number and the id.
    fn create(&mut self, collection: &'static str, state: &Value, body: &Value) -> Option<(usize, String)> {
        let claim = self.claims.len();
        self.claims.push(Claim { collection, id: None, states: vec![None] });
        let id = self.bring(claim, Some(state.clone()), "POST", collection, body)?.id();
        self.claims[claim].id = Some(id.clone());
        Some((claim, id))
    }

    fn patch(&mut self, claim: usize, state: &Value, path: &str, operation: &Value) -> Option<Answer> {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]
        });
        self.bring(claim, Some(state.clone()), "PATCH", path, &body)
    }
}

/// Ends when the gateway dies.
type Killed = Option<Infallible>;
type Work<'a> = dyn Fn(&mut Writer) -> Killed + Sync + 'a;

fn user(name: &str) -> Value {
    json!({ "userName": name, "externalId": name, "emails": [{ "value": format!("{name}@example.com") }] })
}

fn group(name: &str, members: &[String]) -> Value {
    let elements: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    json!({ "displayName": name, "members": elements })
}

/// What the group then must be: `members` are sorted ids there.
fn group_state<'a>(name: &str, members: impl IntoIterator<Item = &'a String>) -> Value {
    json!({ "displayName": name, "members": members.into_iter().collect::<BTreeSet<_>>() })
}

fn creates_users(writer: &mut Writer) -> Killed {
    for n in 0.. {
        let body = user(&format!("created-{}-{n}", writer.round));
        writer.create("/Users", &body, &body)?;
    }
    None
}

fn patches_a_user(writer: &mut Writer) -> Killed {
    let name = |round: usize, n: usize| format!("patched-{round}-{n}");
    let first = user(&name(writer.round, 0));
    let (claim, id) = writer.create("/Users", &first, &first)?;
    for n in 1.. {
        let state = user(&name(writer.round, n));
        writer.patch(claim, &state, &format!("/Users/{id}"), &json!({ "op": "replace", "value": state }))?;
    }
    None
}

fn adds_and_removes_members(writer: &mut Writer, users: &[String]) -> Killed {
    let name = format!("edited-{}", writer.round);
    let mut members = BTreeSet::new();
    let (claim, id) = writer.create("/Groups", &group_state(&name, &members), &group(&name, &[]))?;
    let path = format!("/Groups/{id}");
    for n in 0.. {
        // Of any three steps two add, and by turns the user is a member already or is none.
        let one = &users[n * 5 % 7];
        let operation = if n % 3 == 2 {
            members.remove(one);
            json!({ "op": "remove", "path": format!("members[value eq \"{one}\"]") })
        } else {
            members.insert(one.clone());
            json!({ "op": "add", "path": "members", "value": [{ "value": one }] })
        };
        writer.patch(claim, &group_state(&name, &members), &path, &operation)?;
    }
    None
}

/// Puts one of two lists of members that have nobody in common in the place of the other, with another name.
fn replaces_members(writer: &mut Writer, users: &[String]) -> Killed {
    let name = |round: usize, n: usize| format!("replaced-{round}-{n}");
    let first = name(writer.round, 0);
    let (claim, id) = writer.create("/Groups", &group_state(&first, &[]), &group(&first, &[]))?;
    for n in 1.. {
        let list = &users[n % 2 * MEMBERS..][..MEMBERS];
        let name = name(writer.round, n);
        let state = group_state(&name, list);
        writer.bring(claim, Some(state), "PUT", &format!("/Groups/{id}"), &group(&name, list))?;
    }
    None
}

/// Creates users, puts them into two groups, and deletes them.
fn deletes_users(writer: &mut Writer) -> Killed {
    let mut groups = Vec::new();
    for n in 0..2 {
        let name = format!("left-{}-{n}", writer.round);
        let body = json!({ "displayName": name });
        groups.push(writer.create("/Groups", &body, &body)?.1);
    }
    groups.sort_unstable();
    for n in 0.. {
        let mut state = user(&format!("deleted-{}-{n}", writer.round));
        let (claim, id) = writer.create("/Users", &state, &state)?;
        for n in 1..=2 {
            state["groups"] = json!(groups[..n]);
            let add = json!({ "op": "add", "path": "members", "value": [{ "value": id }] });
            writer.patch(claim, &state, &format!("/Groups/{}", groups[n - 1]), &add)?;
        }
        writer.bring(claim, None, "DELETE", &format!("/Users/{id}"), &Value::Null)?;
    }
    None
}

/// Creates groups with more members than fit a transaction, and deletes them.
fn deletes_groups(writer: &mut Writer, users: &[String]) -> Killed {
    for n in 0.. {
        let name = format!("large-{}-{n}", writer.round);
        let members = &users[..MEMBERS];
        let (claim, id) = writer.create("/Groups", &group_state(&name, members), &group(&name, members))?;
        writer.bring(claim, None, "DELETE", &format!("/Groups/{id}"), &Value::Null)?;
    }
    None
}

/// Lets six writers write, and kills the gateway at that moment; gives what may be found.
fn write_until_killed(round: usize, moment: Moment, gateway: Gateway, users: &[String]) -> Vec<Claim> {
    let killed = Arc::new(AtomicBool::new(false));
    let client = gateway.client();
    let (tell, told) = channel();
    let work: [Box<Work>; 6] = [
        Box::new(creates_users),
        Box::new(patches_a_user),
        Box::new(|writer| adds_and_removes_members(writer, users)),
        Box::new(|writer| replaces_members(writer, users)),
        Box::new(deletes_users),
        Box::new(|writer| deletes_groups(writer, users)),
    ];
    let mut writers = [(); 6].map(|()| Writer::new(round, &client, &killed, &tell));
    let counters: Vec<_> = writers.iter().map(|writer| Arc::clone(&writer.acknowledged)).collect();
    thread::scope(|scope| {
        for (work, writer) in work.iter().zip(&mut writers) {
            scope.spawn(move || assert!(work(writer).is_none()));
        }
        moment.wait(&told, || counters.iter().all(|n| n.load(Ordering::SeqCst) >= WARM));
        killed.store(true, Ordering::SeqCst);
        gateway.kill();
    });
    writers.into_iter().flat_map(|writer| writer.claims).collect()
}

/// When the gateway is killed: when such a write has begun, and that part of the time that the one before took is over.
#[derive(Clone, Copy)]
struct Moment(&'static str, f64);

impl Moment {
    /// Waits until every writer is warm, and then for the moment.
    fn wait(self, told: &Receiver<Told>, warm: impl Fn() -> bool) {
        let began = Instant::now();
        let mut before = None;
        loop {
            let told = told.recv_timeout(PATIENCE).expect("a write");
            assert!(began.elapsed() < PATIENCE, "a writer has stopped");
            match (told.took, before) {
                _ if told.write != self.0 => {}
                (Some(took), _) => before = Some(took),
                (None, Some(before)) if warm() => return thread::sleep(before.mul_f64(self.1)),
                (None, _) => {}
            }
        }
    }
}

/// A resource as claims speak of it, or such a state: ids of members and groups sorted, the rest as it is.
fn state_of(resource: &Value) -> Value {
    let mut state = resource.clone();
    for name in ["members", "groups"] {
        let elements = resource[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let id = |element: &Value| element.get("value").unwrap_or(element).as_str().map(str::to_owned);
        state[name] = json!(elements.iter().map(id).collect::<BTreeSet<_>>());
    }
    state
}

fn is_in(resource: &Value, state: &Value) -> bool {
    let found = state_of(resource);
    state.as_object().expect("an object").iter().all(|(name, value)| found[name] == *value)
}

/// The state in few words: of long lists, how long they are.
fn brief(resource: &Value) -> Value {
    let mut state = state_of(resource);
    for name in ["members", "groups"] {
        state[name] = state[name].as_array().map(Vec::len).into();
    }
    state
}

/// Whether the resource is as it may be, by id and by each of the names it may have.
fn check(client: &Client, Claim { collection, id, states }: &Claim) {
    let attribute = if *collection == "/Users" { "userName" } else { "displayName" };
    let name = |resource: &Value| resource[attribute].as_str().expect("a name").to_owned();
    let names: BTreeSet<String> = states.iter().flatten().map(&name).collect();
    let mut found: Vec<Value> =
        names.iter().flat_map(|name| client.find(collection, attribute, name)).collect();
    if let Some(id) = id {
        let by_id = client.get(&format!("{collection}/{id}"));
        match by_id.status {
            200 => assert_eq!(found, [by_id.body], "by {attribute} and by id"),
            404 => assert_eq!(found, Vec::<Value>::new(), "found by {attribute}, but not by id"),
            other => panic!("{other}: {:?}", by_id.body),
        }
    }
    assert!(found.len() <= 1, "{found:?}");
    let found = found.pop();
    let expected = states.iter().any(|state| match (&found, state) {
        (None, None) => true,
        (Some(found), Some(state)) => is_in(found, state),
        _ => false,
    });
    let may_be: Vec<_> = states.iter().flatten().map(brief).collect();
    let or_absent = if states.contains(&None) { " or absent" } else { "" };
    assert!(expected, "{id:?} may be {may_be:#?}{or_absent}, but is {:#?}", found.as_ref().map(brief));
}

/// Every membership as `collection` shows it: the group's id and the member's.
fn memberships(client: &Client, collection: &str) -> BTreeSet<(String, String)> {
    let (attribute, of_users) = if collection == "/Users" { ("groups", true) } else { ("members", false) };
    let mut pairs = BTreeSet::new();
    for resource in client.all(collection) {
        let own = resource["id"].as_str().expect("an id").to_owned();
        for element in resource[attribute].as_array().into_iter().flatten() {
            let other = element["value"].as_str().expect("an id").to_owned();
            pairs.insert(if of_users { (other, own.clone()) } else { (own.clone(), other) });
        }
    }
    pairs
}

fn examine(place: &Place, gateway: &Gateway) {
    let arguments = ["doctor", "--org", "acme", "--finish", "--data", "data"];
    let doctor = place.run("scimctl", &arguments, &[("AWS_ENDPOINT_URL_DYNAMODB", &gateway.dynamodb)]);
    assert_eq!(doctor.code, 0, "{}", doctor.snapshot());
}

#[test]
fn killed_gateway_loses_no_acknowledged_write() {
    let place = Place::new("kill");
    let mut gateway = Gateway::start(&place);
    let token = gateway.token.clone();
    let client = gateway.client();
    let users: Vec<String> = (0..2 * MEMBERS)
        .map(|n| client.send("POST", "/Users", &json!({ "userName": format!("member-{n}") })).id())
        .collect();
    let mut in_flight = 0;
    for (round, moment) in MOMENTS.into_iter().enumerate() {
        let claims = write_until_killed(round, moment, gateway, &users);
        in_flight += claims.iter().filter(|claim| claim.states.len() > 1).count();
        gateway = Gateway::start(&place);
        assert_eq!(gateway.token, token, "the key of the connection file");
        let client = gateway.client();
        // Clients find things in order whether or not somebody finished what was under way before they came.
        if round % 2 == 1 {
            examine(&place, &gateway);
        }
        for claim in &claims {
            check(&client, claim);
        }
        let (of_users, of_groups) = (memberships(&client, "/Users"), memberships(&client, "/Groups"));
        let one_sided: Vec<_> = of_users.symmetric_difference(&of_groups).take(5).collect();
        assert!(one_sided.is_empty(), "users and groups do not agree on {one_sided:?}");
        examine(&place, &gateway);
    }
    assert!(in_flight > 0, "the gateway was never killed while it wrote");
    assert_eq!(gateway.interrupt(), Some(0));
}
