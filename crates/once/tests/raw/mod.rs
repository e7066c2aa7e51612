//! A peer that may say anything: raw iroh and raw frames, without the engine. And what both sides of such a story need.

#![allow(dead_code)]

use std::path::Path;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use iroh::endpoint::{Connection, ConnectionError, RecvStream, SendStream, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode, SecretKey};
use once::{InitOptions, Kernel, KernelId};
use once_model::certificate::{Chain, Genesis};
use once_model::hash::content_hash;
use once_model::header::Header;
use once_model::ids::{BootId, Hash, Incarnation, Line, ObjectKey, Uuid};
use once_model::progress::Progress;
use once_model::scenario::Scenario;
use once_model::sign::KernelKey;
use once_model::wire::{ALPN, Code, Frame, Greeting, Parcel, Request, ShareAnswer, Shared};

/// Long enough for any machine; only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Held alone by stories that measure this process.
static MEASURED: RwLock<()> = RwLock::new(());

/// Runs a story on a current-thread runtime, as the daemon does, and fails if it hangs.
pub fn story(run: impl Future<Output = ()>) {
    let _beside = MEASURED.read().unwrap_or_else(PoisonError::into_inner);
    tell(run);
}

/// The same, while no other story runs: what it measures of this process is its own.
pub fn story_alone(run: impl Future<Output = ()>) {
    let _alone = MEASURED.write().unwrap_or_else(PoisonError::into_inner);
    tell(run);
}

fn tell(run: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(300), run).await.expect("the story hangs");
    });
}

/// How much more to do than a developer's machine does in a minute. CI sets 4.
pub fn scale() -> usize {
    std::env::var("ONCE_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Says that a test could not run. Fails where everything must.
pub fn skip(reason: &str) {
    println!("skipped: {reason}");
    assert!(
        std::env::var("ONCE_REQUIRE_ALL").as_deref() != Ok("1"),
        "ONCE_REQUIRE_ALL=1, but skipped: {reason}"
    );
}

/// Polls until it is so; fails with `what` if it never is.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What comes within a minute.
pub async fn within<T>(what: &str, future: impl IntoFuture<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, future.into_future()).await;
    ended.unwrap_or_else(|_| panic!("never happened: {what}"))
}

/// A number of this process, from `/proc/self/status`: `VmRSS` in KiB, `Threads`.
pub fn of_this_process(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// A kernel that was just made.
pub async fn kernel(dir: &Path, name: &str) -> Kernel {
    let options = InitOptions { name: Some(name.into()), listen: Some("127.0.0.1:0".into()), relay: None };
    once::init(&dir.join(name), options).unwrap();
    start(dir, name).await
}

/// A kernel that lives in `dir` already.
pub async fn start(dir: &Path, name: &str) -> Kernel {
    Kernel::builder(dir.join(name)).start().await.unwrap()
}

/// Two honest kernels that are peers.
pub async fn pair(dir: &Path) -> (Kernel, Kernel) {
    let (alice, bob) = (kernel(dir, "alice").await, kernel(dir, "bob").await);
    bob.join(&alice.invite().await.unwrap()).await.unwrap();
    (alice, bob)
}

/// A scenario of its own UUID.
pub fn note(n: usize, text: &str) -> String {
    format!(
        r#"{{ "ior": {{"uuid": "0000{n:04x}-f833-4909-a891-a75b183be4c8", "component": "Note", "version": "1.0"}},
  "owner": "system", "model": {{"text": "{text}", "big": 12345678901234567890, "n": 1.50}} }}"#
    )
}

/// Imports one and shares it with an honest peer: the whole way works.
pub async fn still_works(alice: &Kernel, bob: &Kernel, n: usize) {
    let text = note(n, "still works");
    let (object, _) = alice.import(text.clone()).await.unwrap();
    within("an honest share", alice.share(object.key()).to(bob.id()).delivered()).await.unwrap();
    assert_eq!(bob.scenario(object.key()).unwrap().unwrap(), text.as_bytes());
}

/// A peer without an engine.
pub struct Raw {
    pub key: KernelKey,
    pub endpoint: Endpoint,
}

impl Raw {
    pub async fn new() -> Self {
        let mut secret = [0; 32];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut secret);
        Self::with_key(KernelKey::from_bytes(&secret)).await
    }

    pub async fn with_key(key: KernelKey) -> Self {
        Self::speaking(key, ALPN).await
    }

    /// One that speaks another protocol.
    pub async fn speaking(key: KernelKey, alpn: &[u8]) -> Self {
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(SecretKey::from_bytes(&key.to_bytes()))
            .alpns(vec![alpn.to_vec()])
            .relay_mode(RelayMode::Disabled)
            .clear_ip_transports()
            .bind_addr(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))
            .unwrap()
            .bind()
            .await
            .unwrap();
        Self { key, endpoint }
    }

    pub fn id(&self) -> KernelId {
        self.key.id()
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.endpoint.bound_sockets()[0].to_string()
    }

    pub async fn connect(&self, to: &Kernel) -> Connection {
        self.connect_at(to.id(), &to.addresses()).await
    }

    /// Connects to a kernel that may be another process.
    pub async fn connect_at(&self, to: KernelId, addresses: &[String]) -> Connection {
        self.connect_as(to, addresses, ALPN).await
    }

    /// The same in another protocol.
    pub async fn connect_as(&self, to: KernelId, addresses: &[String], alpn: &[u8]) -> Connection {
        let addr = addresses.iter().filter_map(|text| text.parse().ok()).fold(
            EndpointAddr::new(EndpointId::from_bytes(to.as_bytes()).unwrap()),
            EndpointAddr::with_ip_addr,
        );
        within("a raw connection", self.endpoint.connect(addr, alpn)).await.unwrap()
    }

    /// Connects, says hello and is admitted by an invite.
    pub async fn join(&self, to: &Kernel) -> Control {
        self.join_saying(to, greeting(1)).await
    }

    /// The same with another greeting.
    pub async fn join_saying(&self, to: &Kernel, greeting: Greeting) -> Control {
        let ticket = to.invite().await.unwrap();
        self.return_saying(to, Greeting { invite: Some(ticket.secret()), ..greeting }).await
    }

    /// Connects again.
    pub async fn return_to(&self, to: &Kernel, boot: u8) -> Control {
        self.return_saying(to, greeting(boot)).await
    }

    /// The same with another greeting.
    pub async fn return_saying(&self, to: &Kernel, greeting: Greeting) -> Control {
        Control::greet(self.connect(to).await, self.signed(greeting)).await
    }

    /// A greeting, with this peer's own signature of how far it is.
    pub fn signed(&self, greeting: Greeting) -> Greeting {
        let Progress { incarnation, boot, id, commit, .. } = greeting.progress;
        Greeting { progress: Progress::sign(incarnation, boot, id, commit, &self.key), ..greeting }
    }

    /// Waits until the kernel calls, and admits it.
    pub async fn called(&self, boot: u8) -> Control {
        let incoming = within("a call", self.endpoint.accept()).await.unwrap();
        let connection = incoming.accept().unwrap().await.unwrap();
        let (send, recv) = connection.accept_bi().await.unwrap();
        let mut control = Control { connection, lane: Lane { send, recv } };
        assert!(matches!(control.hear().await, Some(Frame::Hello(_))));
        control.say(&Frame::Admitted(self.signed(greeting(boot)))).await;
        control
    }
}

/// What it says of itself.
pub fn greeting(boot: u8) -> Greeting {
    Greeting {
        features: Vec::new(),
        critical: Vec::new(),
        progress: progress(Incarnation::from_bytes([7; 16]), boot, &KernelKey::from_bytes(&[0; 32])),
        seen: Vec::new(),
        frame_max_bytes: 256 * 1024,
        scenario_max_bytes: 64 * 1024 * 1024,
        window_shares: 256,
        name: "mallory".into(),
        clock_ms: 0,
        invite: None,
        heard: None,
    }
}

/// How far it says that it is.
pub fn progress(life: Incarnation, boot: u8, key: &KernelKey) -> Progress {
    Progress::sign(life, boot.into(), BootId::from_bytes([boot; 16]), 1, key)
}

/// One stream, both ways.
pub struct Lane {
    pub send: SendStream,
    pub recv: RecvStream,
}

impl Lane {
    pub async fn open(connection: &Connection) -> Self {
        let (send, recv) = connection.open_bi().await.unwrap();
        Self { send, recv }
    }

    pub async fn say(&mut self, frame: &Frame) {
        self.say_bytes(&frame.encode()).await;
    }

    /// A frame of any bytes.
    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        let _ = self.send.write_all(&framed(bytes)).await;
    }

    /// The next frame's bytes; `None` when the stream ended or broke.
    pub async fn hear_bytes(&mut self) -> Option<Vec<u8>> {
        let hear = async {
            let mut length = [0; 4];
            self.recv.read_exact(&mut length).await.ok()?;
            let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
            self.recv.read_exact(&mut bytes).await.ok()?;
            Some(bytes)
        };
        within("a frame, or the end of the stream", hear).await
    }

    /// The next frame that says anything: heartbeats are passed over.
    pub async fn hear(&mut self) -> Option<Frame> {
        loop {
            match self.hear_bytes().await.map(|bytes| Frame::decode(&bytes).unwrap()) {
                Some(Frame::Alive) => {}
                said => return said,
            }
        }
    }
}

/// The control stream and its connection.
pub struct Control {
    pub connection: Connection,
    pub lane: Lane,
}

impl Control {
    pub async fn open(connection: Connection) -> Self {
        let lane = Lane::open(&connection).await;
        Self { connection, lane }
    }

    /// Opens it, says hello and is admitted.
    pub async fn greet(connection: Connection, greeting: Greeting) -> Self {
        let mut control = Self::open(connection).await;
        control.say(&Frame::Hello(greeting)).await;
        control.admitted().await;
        control
    }

    pub async fn say(&mut self, frame: &Frame) {
        self.lane.say(frame).await;
    }

    pub async fn hear(&mut self) -> Option<Frame> {
        self.lane.hear().await
    }

    pub async fn admitted(&mut self) {
        let heard = self.hear().await;
        assert!(matches!(heard, Some(Frame::Admitted(_))), "{heard:?}, {:?}", self.connection.close_reason());
    }

    /// Shares, and waits for the answer to exactly that.
    pub async fn share(&mut self, parcel: Parcel) -> ShareAnswer {
        self.say(&Frame::Share(parcel.clone())).await;
        self.share_answer(&parcel).await
    }

    /// Waits for the answer to exactly that share.
    pub async fn share_answer(&mut self, parcel: &Parcel) -> ShareAnswer {
        let asked = (parcel.header.key(), parcel.header.id());
        loop {
            match self.hear().await.expect("an answer to a share") {
                Frame::Shared(Shared { key, id, answer, .. }) if (key, id) == asked => return answer,
                Frame::Share(_) | Frame::Shared(_) | Frame::Follow(_) => {}
                other => panic!("{other:?} is no answer to a share"),
            }
        }
    }

    /// Asks for an object.
    pub async fn request(&mut self, call: u64, uuid: Uuid, line: Option<Line>) -> Frame {
        self.say(&Frame::Request(Request { call, uuid, line })).await;
        self.hear().await.expect("an answer to a request")
    }

    /// The number with which the kernel closed the connection.
    pub async fn closed(&self) -> Option<u64> {
        closed(&self.connection).await
    }
}

pub async fn closed(connection: &Connection) -> Option<u64> {
    match within("the connection closes", connection.closed()).await {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        _ => None,
    }
}

/// Bytes with their length before them.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

pub fn refused(code: Code) -> ShareAnswer {
    ShareAnswer::Refused(code)
}

/// An unclaimed scenario as it travels.
pub fn unclaimed(text: &str) -> Parcel {
    let scenario = Scenario::parse(text.to_owned()).unwrap();
    Parcel {
        header: once_core::object::unclaimed(&scenario),
        chain: None,
        body: Some(scenario.bytes().clone()),
        commit: None,
    }
}

/// An object that a key has claimed: its first revision, signed.
pub fn claimed(by: &KernelKey, text: &str) -> Parcel {
    let mut parcel = unclaimed(text);
    let header = &mut parcel.header;
    let chain = Chain::new(Genesis {
        uuid: header.uuid,
        home: by.id(),
        recovery: Vec::new(),
        content: header.content,
        nonce: [5; 16],
        incarnation: Incarnation::from_bytes([7; 16]),
    });
    header.lineage = Some(chain.genesis.lineage());
    (header.epoch, header.revision) = (1, 1);
    header.certificate = Some(chain.certificate());
    header.sign(by);
    parcel.chain = Some(chain);
    parcel
}

/// The revision after another one, signed by a key that may or may not be the home's.
pub fn next(before: &Parcel, by: &KernelKey, text: &str) -> Parcel {
    let scenario = Scenario::parse(text.to_owned()).unwrap();
    let mut parcel = before.clone();
    let header = &mut parcel.header;
    header.parent = Some(before.header.id());
    header.revision += 1;
    (header.content, header.size) = (scenario.hash(), scenario.bytes().len() as u64);
    header.signature = None;
    header.sign(by);
    parcel.body = Some(scenario.bytes().clone());
    parcel
}

/// The removal after a revision, signed by a key that may or may not be the home's.
pub fn tombstone(before: &Parcel, by: &KernelKey) -> Parcel {
    let mut parcel = before.clone();
    let header: &mut Header = &mut parcel.header;
    header.parent = Some(before.header.id());
    header.revision += 1;
    (header.content, header.size, header.tombstone) = (content_hash(b""), 0, true);
    header.signature = None;
    header.sign(by);
    parcel.body = None;
    parcel
}

/// A key of an object that is nowhere.
pub fn nowhere(n: u8) -> ObjectKey {
    ObjectKey { uuid: Uuid::from_bytes([n; 16]), line: Line::Unclaimed(Hash::from_bytes([n; 32])) }
}
