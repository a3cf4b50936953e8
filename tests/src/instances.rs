//! Instances of the service on one realistic DynamoDB, with the limits of organisations. Time is virtual.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use dynoxide::Database;
use local::realistic::Realistic;
use service::{
    auth::{Org, Scope},
    clock::Clock,
    entropy::Entropy,
    settings::Settings,
    store::OrgChange,
};
use tokio::{
    sync::Semaphore,
    task::JoinHandle,
    time::{Duration, Instant, sleep_until},
};

use crate::{
    Answer, Request, Service,
    intercept::{self, Call, CallResult},
    operator, runtime_clock,
};

/// Instances of the service on one database.
pub struct Instances {
    /// The database.
    pub db: Realistic,
    clock: Clock,
    /// The service of the operator, which has no limits.
    pub setup: Service,
    /// The instances.
    pub services: Vec<Arc<Service>>,
    /// The number of writes of limits.
    updates: Arc<AtomicUsize>,
    pool: Option<Arc<Pool>>,
}

/// The instances that serve no request, as in Lambda: an instance serves one request at a time. A request that finds none
/// waits behind those before it, as its client would by repeating it.
struct Pool {
    free: Semaphore,
    instances: Mutex<Vec<usize>>,
}

impl Pool {
    /// Takes an instance, carries out the work on it, and gives it back.
    async fn on_one<T>(&self, work: impl AsyncFnOnce(usize) -> T) -> T {
        let permit = self.free.acquire().await.expect("a pool that stays open");
        let instance = self.instances().pop().expect("an instance for each permit");
        let result = work(instance).await;
        self.instances().push(instance);
        drop(permit);
        result
    }

    fn instances(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time and the answer of a request.
pub struct Sample {
    /// The time.
    pub time: Duration,
    /// The answer.
    pub answer: Answer,
}

impl Instances {
    /// Returns this number of instances.
    pub async fn new(number: usize) -> Self {
        let db = Realistic::new(Database::memory().expect("a database in memory"), 1);
        let clock = runtime_clock();
        let setup = Service::on_with_clock(db.client(), clock.clone()).await;
        let updates = Arc::default();
        let mut instances = Self { db, clock, setup, services: Vec::new(), updates, pool: None };
        for _ in 0..number {
            instances.add(Call::forward);
        }
        instances
    }

    /// Adds an instance whose calls to DynamoDB get the results of the function.
    pub fn add<R>(&mut self, handle: impl Fn(Call) -> R + Send + Sync + 'static)
    where
        R: Future<Output = CallResult> + Send + 'static,
    {
        let updates = Arc::clone(&self.updates);
        let client = intercept::client(self.db.clone(), move |call| {
            if call.is_of_a_limit() {
                updates.fetch_add(1, Ordering::Relaxed);
            }
            handle(call)
        });
        let entropy = Entropy::seeded(10 + self.services.len() as u64);
        let service = Service::restarted(client, self.clock.clone(), entropy, &self.setup.key);
        self.services.push(Arc::new(service.limited()));
    }

    /// Lets each instance serve one request at a time.
    #[must_use]
    pub fn one_request_each(mut self) -> Self {
        let number = self.services.len();
        let instances = Mutex::new((0..number).collect());
        self.pool = Some(Arc::new(Pool { free: Semaphore::new(number), instances }));
        self
    }

    /// Returns the number of writes of limits since the last call of this function.
    #[must_use]
    pub fn take_updates(&self) -> usize {
        self.updates.swap(0, Ordering::Relaxed)
    }

    /// Changes the settings of the organisation of the tests.
    pub async fn set(&self, settings: Settings) {
        let org: Org = self.setup.org.parse().expect("a name");
        let change = OrgChange { settings: Some(settings), ..OrgChange::default() };
        self.setup.app.store.change_org(&org, change, &operator()).await.expect("a change");
    }

    /// Creates another organisation and returns its key.
    pub async fn organisation(&self, name: &str) -> String {
        self.setup.organisation(name, &[Scope::Scim]).await
    }

    /// Sends a request to an instance, in a task of its own. If each instance serves one request at a time, the request
    /// goes to one that is free.
    #[must_use]
    pub fn send(&self, instance: usize, request: Request) -> JoinHandle<Sample> {
        let (services, pool) = (self.services.clone(), self.pool.clone());
        tokio::spawn(async move {
            let began = Instant::now();
            let answer = match pool {
                None => request.send(&services[instance % services.len()]).await,
                Some(pool) => pool.on_one(async |instance| request.send(&services[instance]).await).await,
            };
            Sample { time: began.elapsed(), answer }
        })
    }

    /// Sends requests at a fixed rate, to one instance after the other.
    pub async fn send_at(&self, per_second: u32, seconds: u32, request: &Request) -> Vec<Sample> {
        let (start, apart) = (Instant::now(), Duration::from_secs(1) / per_second);
        let mut sent = Vec::new();
        for number in 0..per_second * seconds {
            sleep_until(start + apart * number).await;
            sent.push(self.send(number as usize, request.clone()));
        }
        let mut samples = Vec::new();
        for sample in sent {
            samples.push(sample.await.expect("an answer"));
        }
        samples
    }
}

/// Returns the time that this percentage of the requests take at most.
#[must_use]
pub fn percentile(samples: &[Sample], percent: usize) -> Duration {
    let mut times: Vec<Duration> = samples.iter().map(|sample| sample.time).collect();
    times.sort_unstable();
    times[(times.len() * percent).div_ceil(100).max(1) - 1]
}
