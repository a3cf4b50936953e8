//! `kill -9` during writes: no acknowledged write is lost, and no other write is applied in part.
//!
//! Each writer owns its resources and sends one request after the other, so it knows their possible states: the last
//! acknowledged state, or the state that the interrupted request asked for. All rounds use one data directory.

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

use crate::program::{Client, Gateway, TIMEOUT, TempDir};

/// The number of members of a large group. One DynamoDB transaction cannot hold them.
const MEMBERS: usize = 150;
/// The acknowledged writes of each writer before the gateway is killed.
const WARM_UP_WRITES: usize = 3;
/// Early and late points in writes of more than one transaction. The other writers are then at arbitrary points.
const KILL_POINTS: [KillPoint; 6] = [
    KillPoint("PUT /Groups", 0.1),
    KillPoint("DELETE /Groups", 0.4),
    KillPoint("POST /Groups", 0.5),
    KillPoint("PUT /Groups", 0.5),
    KillPoint("DELETE /Groups", 0.7),
    KillPoint("PUT /Groups", 0.9),
];

/// The possible states of a resource.
struct Claim {
    collection: &'static str,
    id: Option<String>,
    /// Each state lists attributes that the resource then has, among others. `None` means that the resource does not
    /// exist.
    states: Vec<Option<Value>>,
}

/// One client of the gateway and the resources that it wrote.
struct Writer {
    round: usize,
    client: Client,
    killed: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    events: Sender<Event>,
    claims: Vec<Claim>,
}

/// The start of a write, or its end after the time `took`.
struct Event {
    /// The method and the collection, such as `PUT /Groups`.
    write: String,
    took: Option<Duration>,
}

impl Writer {
    fn new(round: usize, client: &Client, killed: &Arc<AtomicBool>, events: &Sender<Event>) -> Self {
        Self {
            round,
            client: client.clone(),
            killed: Arc::clone(killed),
            acknowledged: Arc::default(),
            events: events.clone(),
            claims: Vec::new(),
        }
    }

    fn report(&self, method: &str, claim: usize, took: Option<Duration>) {
        let write = format!("{method} {}", self.claims[claim].collection);
        // The receiver is gone once the gateway is killed.
        let _ = self.events.send(Event { write, took });
    }

    /// Sends a request, which must succeed. Returns `None` if the gateway was killed.
    fn write(&self, method: &str, path: &str, body: &Value) -> Option<Answer> {
        let Some(answer) = self.client.try_send(method, path, body) else {
            assert!(
                self.killed.load(Ordering::SeqCst),
                "no response to {method} {path} from a running gateway"
            );
            return None;
        };
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        Some(answer)
    }

    /// Changes the resource of the claim to this state.
    fn change(
        &mut self,
        claim: usize,
        state: Option<Value>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Option<Answer> {
        self.claims[claim].states.push(state.clone());
        let began = Instant::now();
        self.report(method, claim, None);
        let answer = self.write(method, path, body)?;
        self.report(method, claim, Some(began.elapsed()));
        self.claims[claim].states = vec![state];
        Some(answer)
    }

    /// Creates a resource. Returns the index of its claim and its id.
    fn create(&mut self, collection: &'static str, state: &Value, body: &Value) -> Option<(usize, String)> {
        let claim = self.claims.len();
        self.claims.push(Claim { collection, id: None, states: vec![None] });
        let id = self.change(claim, Some(state.clone()), "POST", collection, body)?.id();
        self.claims[claim].id = Some(id.clone());
        Some((claim, id))
    }

    fn patch(&mut self, claim: usize, state: &Value, path: &str, operation: &Value) -> Option<Answer> {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]
        });
        self.change(claim, Some(state.clone()), "PATCH", path, &body)
    }
}

/// The result of work that ends only when the gateway is killed.
type UntilKilled = Option<Infallible>;
type Work<'a> = dyn Fn(&mut Writer) -> UntilKilled + Sync + 'a;

fn user(name: &str) -> Value {
    json!({ "userName": name, "externalId": name, "emails": [{ "value": format!("{name}@example.com") }] })
}

fn group(name: &str, members: &[String]) -> Value {
    let elements: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    json!({ "displayName": name, "members": elements })
}

/// Returns the state of a group with these members, as sorted ids.
fn group_state<'a>(name: &str, members: impl IntoIterator<Item = &'a String>) -> Value {
    json!({ "displayName": name, "members": members.into_iter().collect::<BTreeSet<_>>() })
}

fn create_users(writer: &mut Writer) -> UntilKilled {
    for n in 0.. {
        let body = user(&format!("created-{}-{n}", writer.round));
        writer.create("/Users", &body, &body)?;
    }
    None
}

fn patch_user(writer: &mut Writer) -> UntilKilled {
    let name = |round: usize, n: usize| format!("patched-{round}-{n}");
    let first = user(&name(writer.round, 0));
    let (claim, id) = writer.create("/Users", &first, &first)?;
    for n in 1.. {
        let state = user(&name(writer.round, n));
        writer.patch(claim, &state, &format!("/Users/{id}"), &json!({ "op": "replace", "value": state }))?;
    }
    None
}

fn add_and_remove_members(writer: &mut Writer, users: &[String]) -> UntilKilled {
    let name = format!("edited-{}", writer.round);
    let mut members = BTreeSet::new();
    let (claim, id) = writer.create("/Groups", &group_state(&name, &members), &group(&name, &[]))?;
    let path = format!("/Groups/{id}");
    for n in 0.. {
        // Two of three steps add. The user is sometimes a member already.
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

/// Replaces the members by one of two disjoint lists in turn, and renames the group.
fn replace_members(writer: &mut Writer, users: &[String]) -> UntilKilled {
    let name = |round: usize, n: usize| format!("replaced-{round}-{n}");
    let first = name(writer.round, 0);
    let (claim, id) = writer.create("/Groups", &group_state(&first, &[]), &group(&first, &[]))?;
    for n in 1.. {
        let list = &users[n % 2 * MEMBERS..][..MEMBERS];
        let name = name(writer.round, n);
        let state = group_state(&name, list);
        writer.change(claim, Some(state), "PUT", &format!("/Groups/{id}"), &group(&name, list))?;
    }
    None
}

/// Creates users, adds them to two groups and deletes them.
fn delete_users(writer: &mut Writer) -> UntilKilled {
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
        writer.change(claim, None, "DELETE", &format!("/Users/{id}"), &Value::Null)?;
    }
    None
}

/// Creates groups with more members than one transaction holds, and deletes them.
fn delete_groups(writer: &mut Writer, users: &[String]) -> UntilKilled {
    for n in 0.. {
        let name = format!("large-{}-{n}", writer.round);
        let members = &users[..MEMBERS];
        let (claim, id) = writer.create("/Groups", &group_state(&name, members), &group(&name, members))?;
        writer.change(claim, None, "DELETE", &format!("/Groups/{id}"), &Value::Null)?;
    }
    None
}

/// Runs six writers and kills the gateway at the kill point. Returns the possible states of what they wrote.
fn write_until_killed(round: usize, kill_point: KillPoint, gateway: Gateway, users: &[String]) -> Vec<Claim> {
    let killed = Arc::new(AtomicBool::new(false));
    let client = gateway.client();
    let (sender, events) = channel();
    let work: [Box<Work>; 6] = [
        Box::new(create_users),
        Box::new(patch_user),
        Box::new(|writer| add_and_remove_members(writer, users)),
        Box::new(|writer| replace_members(writer, users)),
        Box::new(delete_users),
        Box::new(|writer| delete_groups(writer, users)),
    ];
    let mut writers = [(); 6].map(|()| Writer::new(round, &client, &killed, &sender));
    let counters: Vec<_> = writers.iter().map(|writer| Arc::clone(&writer.acknowledged)).collect();
    thread::scope(|scope| {
        for (work, writer) in work.iter().zip(&mut writers) {
            scope.spawn(move || assert!(work(writer).is_none()));
        }
        kill_point.wait(&events, || counters.iter().all(|n| n.load(Ordering::SeqCst) >= WARM_UP_WRITES));
        killed.store(true, Ordering::SeqCst);
        gateway.kill();
    });
    writers.into_iter().flat_map(|writer| writer.claims).collect()
}

/// The time of the kill: after a write of this kind has begun, and after this fraction of the previous write's
/// duration.
#[derive(Clone, Copy)]
struct KillPoint(&'static str, f64);

impl KillPoint {
    /// Waits until every writer is warm, then until the kill point.
    fn wait(self, events: &Receiver<Event>, warm: impl Fn() -> bool) {
        let began = Instant::now();
        let mut previous = None;
        loop {
            let event = events.recv_timeout(TIMEOUT).expect("a write");
            assert!(began.elapsed() < TIMEOUT, "a writer has stopped");
            match (event.took, previous) {
                _ if event.write != self.0 => {}
                (Some(took), _) => previous = Some(took),
                (None, Some(previous)) if warm() => return thread::sleep(previous.mul_f64(self.1)),
                (None, _) => {}
            }
        }
    }
}

/// Returns the comparable form of a resource or a state: members and groups as sorted ids, all else unchanged.
fn state_of(resource: &Value) -> Value {
    let mut state = resource.clone();
    for name in ["members", "groups"] {
        let elements = resource[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let id = |element: &Value| element.get("value").unwrap_or(element).as_str().map(str::to_owned);
        state[name] = json!(elements.iter().map(id).collect::<BTreeSet<_>>());
    }
    state
}

fn is_in_state(resource: &Value, state: &Value) -> bool {
    let found = state_of(resource);
    state.as_object().expect("an object").iter().all(|(name, value)| found[name] == *value)
}

/// Returns the state with lists replaced by their lengths, for messages.
fn summary(resource: &Value) -> Value {
    let mut state = state_of(resource);
    for name in ["members", "groups"] {
        state[name] = state[name].as_array().map(Vec::len).into();
    }
    state
}

/// Checks by id and by each possible name that the resource is in one of its possible states.
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
        (Some(found), Some(state)) => is_in_state(found, state),
        _ => false,
    });
    let may_be: Vec<_> = states.iter().flatten().map(summary).collect();
    let or_absent = if states.contains(&None) { " or absent" } else { "" };
    assert!(expected, "{id:?} may be {may_be:#?}{or_absent}, but is {:#?}", found.as_ref().map(summary));
}

/// Returns every membership that the resources of a collection show, as the ids of group and member.
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

fn examine(dir: &TempDir, gateway: &Gateway) {
    let arguments = ["doctor", "--org", "acme", "--finish", "--data", "data"];
    let doctor = dir.run("scimctl", &arguments, &[("AWS_ENDPOINT_URL_DYNAMODB", &gateway.dynamodb)]);
    assert_eq!(doctor.code, 0, "{}", doctor.snapshot());
}

#[test]
fn killed_gateway_loses_no_acknowledged_write() {
    let dir = TempDir::new("kill");
    let mut gateway = Gateway::start(&dir);
    let token = gateway.token.clone();
    let client = gateway.client();
    let users: Vec<String> = (0..2 * MEMBERS)
        .map(|n| client.send("POST", "/Users", &json!({ "userName": format!("member-{n}") })).id())
        .collect();
    let mut in_flight = 0;
    for (round, kill_point) in KILL_POINTS.into_iter().enumerate() {
        let claims = write_until_killed(round, kill_point, gateway, &users);
        in_flight += claims.iter().filter(|claim| claim.states.len() > 1).count();
        gateway = Gateway::start(&dir);
        assert_eq!(gateway.token, token, "the restart keeps the key of the connection file");
        let client = gateway.client();
        // Clients see consistent data, whether or not the doctor has finished the interrupted changes before.
        if round % 2 == 1 {
            examine(&dir, &gateway);
        }
        for claim in &claims {
            check(&client, claim);
        }
        let (of_users, of_groups) = (memberships(&client, "/Users"), memberships(&client, "/Groups"));
        let one_sided: Vec<_> = of_users.symmetric_difference(&of_groups).take(5).collect();
        assert!(one_sided.is_empty(), "users and groups disagree on {one_sided:?}");
        examine(&dir, &gateway);
    }
    assert!(in_flight > 0, "the gateway was never killed while it wrote");
    assert_eq!(gateway.interrupt(), Some(0));
}
