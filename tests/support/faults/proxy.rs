//! A proxy between plumb and a server that knows where messages begin and end, and does something at one of them.
//!
//! Messages are numbered as they come, over all lines and both directions. What a server says several times in a row (rows, ends of
//! the statements of one query) counts as one, and so does what plumb sends in one piece with the Sync at its end.

use rustix::net::sockopt::set_socket_linger;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Who has sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Plumb,
    Server,
}

/// What happens to the line at a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The line is cut, and the message does not arrive.
    CutBefore,
    /// The message arrives, and then the line is cut.
    CutAfter,
    /// Not only this message is late, but one in so many.
    Each(usize, Duration),
    /// For so long nothing arrives on any line; then everything does.
    Hole(Duration),
    /// From the message on nothing arrives on this line any more; others work.
    Dead,
    /// From the message on nothing arrives on any line, nor on new ones.
    Partition,
    /// The same after the message, which is perhaps the beginning of what is sent in one piece.
    PartitionAfter,
    /// The message waits until somebody has done something about it: `true` when it is to arrive before that.
    Pause(bool),
}

/// A message, as it is told.
#[derive(Clone, Debug)]
pub struct Message {
    pub line: usize,
    pub from: From,
    pub kind: char,
    pub text: String,
}

#[derive(Default)]
struct State {
    messages: Vec<Message>,
    /// Whether the fault has happened.
    fired: bool,
    /// Nothing passes before.
    held: Option<Instant>,
    /// Nothing passes any more.
    parted: bool,
    /// Lines up to this one are dead.
    forgotten: usize,
    /// Whoever waits at [`Fault::Pause`] may go on.
    released: bool,
    ends: BTreeMap<usize, (TcpStream, UnixStream)>,
}

struct Shared {
    state: Mutex<State>,
    fault: Option<(usize, Fault)>,
    /// Cuts are resets instead of ends.
    resets: bool,
    over: AtomicBool,
    socket: PathBuf,
}

/// What both ways of a line know.
#[derive(Default)]
struct Line {
    dead: AtomicBool,
    /// Whether TLS is possible was asked; the answer is one byte.
    asked: AtomicBool,
}

/// What becomes of a message.
enum Verdict {
    Pass,
    Cut { arrives: bool },
    Late(Duration),
    Lost,
    Last,
    Wait { arrives: bool },
}

/// The code of the question for TLS.
const TLS: [u8; 4] = [4, 210, 22, 47];

/// The proxy; it is gone when it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    pub port: u16,
}

impl Proxy {
    /// To the server whose socket is this, with a fault at the message of that number; the first one is 1.
    pub fn new(socket: &Path, fault: Option<(usize, Fault)>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let resets = fault.is_some_and(|(at, _)| at % 2 == 0);
        let shared =
            Arc::new(Shared { state: Mutex::default(), fault, resets, over: AtomicBool::new(false), socket: socket.to_owned() });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            let mut line = 0;
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.over.load(Ordering::SeqCst) {
                    return;
                }
                line += 1;
                accepting.open(line, client);
            }
        });
        Proxy { shared, port }
    }

    /// Whether the fault has happened.
    pub fn fired(&self) -> bool {
        self.shared.state().fired
    }

    /// Lets what waits at [`Fault::Pause`] go on.
    pub fn release(&self) {
        self.shared.state().released = true;
    }

    /// Cuts all lines now.
    pub fn cut(&self) {
        let lines: Vec<usize> = self.shared.state().ends.keys().copied().collect();
        lines.into_iter().for_each(|line| self.shared.cut(line));
    }

    /// From now on nothing arrives on any line.
    pub fn part(&self) {
        self.shared.state().parted = true;
    }

    /// From now on nothing arrives on the lines that there are; new ones work.
    pub fn forget(&self) {
        let mut state = self.shared.state();
        state.forgotten = state.messages.iter().map(|m| m.line).max().unwrap_or(0);
    }

    /// What has come by.
    pub fn messages(&self) -> Vec<Message> {
        self.shared.state().messages.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        _ = TcpStream::connect(("127.0.0.1", self.port));
        self.shared.close_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_all(&self) {
        for (client, server) in std::mem::take(&mut self.state().ends).into_values() {
            _ = client.shutdown(Shutdown::Both);
            _ = server.shutdown(Shutdown::Both);
        }
    }

    fn open(self: &Arc<Shared>, line: usize, client: TcpStream) {
        // A server that is down refuses; so does this.
        let Ok(server) = UnixStream::connect(&self.socket) else { return };
        client.set_nodelay(true).unwrap();
        if self.resets {
            set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        }
        let (Ok(c), Ok(s)) = (client.try_clone(), server.try_clone()) else { return };
        self.state().ends.insert(line, (c, s));
        let own = Arc::new(Line::default());
        let (Ok(c), Ok(s)) = (client.try_clone(), server.try_clone()) else { return };
        let (there, back) = (self.clone(), self.clone());
        let other = own.clone();
        std::thread::spawn(move || there.pump(line, From::Plumb, client, s, &own));
        std::thread::spawn(move || back.pump(line, From::Server, server, c, &other));
    }

    /// Carries messages one way until an end is closed.
    fn pump(&self, line: usize, from: From, mut source: impl Read, mut sink: impl Write, own: &Line) {
        let (mut buffer, mut chunk) = (Vec::new(), [0; 16_384]);
        let mut startup = from == From::Plumb;
        loop {
            let n = source.read(&mut chunk).unwrap_or(0);
            if n == 0 {
                break;
            }
            buffer.extend_from_slice(&chunk[..n]);
            if from == From::Server && own.asked.swap(false, Ordering::SeqCst) {
                let answer: Vec<u8> = buffer.drain(..1).collect();
                if !self.carry(line, from, 'N', &answer, &mut sink, own) {
                    return self.cut(line);
                }
            }
            while let Some(length) = length(&buffer, startup) {
                let message: Vec<u8> = buffer.drain(..length).collect();
                let kind = if startup { '^' } else { message[0] as char };
                startup = startup && message[4..] == TLS;
                own.asked.fetch_or(startup, Ordering::SeqCst);
                if !self.carry(line, from, kind, &message, &mut sink, own) {
                    return self.cut(line);
                }
            }
        }
        // What a dead line's end does is not seen at the other one.
        if !self.is_dead(line, own) {
            self.cut(line);
        }
    }

    /// One message; false when the line is to be cut.
    fn carry(&self, line: usize, from: From, kind: char, message: &[u8], sink: &mut impl Write, own: &Line) -> bool {
        match self.judge(line, from, kind, message, own) {
            Verdict::Cut { arrives } => {
                if arrives {
                    _ = sink.write_all(message);
                }
                return false;
            }
            Verdict::Lost => return true,
            Verdict::Last => return sink.write_all(message).is_ok(),
            Verdict::Late(late) => std::thread::sleep(late),
            Verdict::Wait { arrives } => {
                if arrives {
                    _ = sink.write_all(message);
                }
                while !self.state().released && !self.over.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                if arrives {
                    return true;
                }
            }
            Verdict::Pass => {}
        }
        self.wait();
        if self.is_dead(line, own) {
            return true;
        }
        sink.write_all(message).is_ok()
    }

    fn is_dead(&self, line: usize, own: &Line) -> bool {
        let state = self.state();
        state.parted || line <= state.forgotten || own.dead.load(Ordering::SeqCst)
    }

    /// Until a hole is over.
    fn wait(&self) {
        let held = self.state().held;
        if let Some(until) = held {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
    }

    fn judge(&self, line: usize, from: From, kind: char, message: &[u8], own: &Line) -> Verdict {
        let mut state = self.state();
        let last = state.messages.iter().rfind(|m| m.line == line && m.from == from);
        let again = match from {
            From::Server => last.is_some_and(|m| m.kind == kind),
            From::Plumb => last.is_some_and(|m| matches!(m.kind, 'P' | 'B' | 'C')) && matches!(kind, 'D' | 'E' | 'S'),
        };
        if !again {
            state.messages.push(Message { line, from, kind, text: text(kind, from, message) });
        }
        if state.parted || line <= state.forgotten || own.dead.load(Ordering::SeqCst) {
            return Verdict::Lost;
        }
        let number = state.messages.len();
        let is_due = |(at, fault): &(usize, Fault)| match fault {
            Fault::Each(one_in, _) => number % one_in == *at,
            _ => *at == number && !state.fired,
        };
        let Some((_, fault)) = self.fault.filter(|fault| is_due(fault) && !again) else { return Verdict::Pass };
        state.fired = true;
        match fault {
            Fault::CutBefore => Verdict::Cut { arrives: false },
            Fault::CutAfter => Verdict::Cut { arrives: true },
            Fault::Each(_, late) => Verdict::Late(late),
            Fault::Hole(long) => {
                state.held = Some(Instant::now() + long);
                Verdict::Pass
            }
            Fault::Dead => {
                own.dead.store(true, Ordering::SeqCst);
                Verdict::Lost
            }
            Fault::Partition => {
                state.parted = true;
                Verdict::Lost
            }
            Fault::PartitionAfter => {
                state.parted = true;
                Verdict::Last
            }
            Fault::Pause(arrives) => Verdict::Wait { arrives },
        }
    }

    /// Ends a line at both ends. A reset goes out when the last handle is closed; the one that reads is woken for it.
    fn cut(&self, line: usize) {
        let Some((client, server)) = self.state().ends.remove(&line) else { return };
        _ = client.shutdown(if self.resets { Shutdown::Read } else { Shutdown::Both });
        _ = server.shutdown(Shutdown::Both);
    }
}

/// How long the first message of a buffer is, when all of it is there.
fn length(buffer: &[u8], startup: bool) -> Option<usize> {
    let kind = usize::from(!startup);
    let bytes: [u8; 4] = buffer.get(kind..kind + 4)?.try_into().ok()?;
    let length = kind + u32::from_be_bytes(bytes) as usize;
    (buffer.len() >= length).then_some(length)
}

/// What a message says, in a few words.
fn text(kind: char, from: From, message: &[u8]) -> String {
    let start = match (from, kind) {
        (From::Plumb, 'Q' | 'P') | (From::Server, 'C' | 'E' | 'N') if message.len() > 5 => 5,
        _ => return String::new(),
    };
    let words: String = String::from_utf8_lossy(&message[start..]).chars().map(|c| if c < ' ' { ' ' } else { c }).collect();
    words.trim().chars().take(70).collect()
}
