//! Makes a server far away: what it answers arrives later, however much it is. Counts the requests.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// Of what goes to the server: every request has it once.
const REQUEST: &[u8] = b" HTTP/1.1\r\n";

#[derive(Clone)]
pub(crate) struct Far {
    port: u16,
    requests: Arc<AtomicU64>,
}

impl Far {
    pub(crate) fn in_front_of(url: &str, late_ms: u64) -> Self {
        let port: u16 = url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address with a port");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let far = Self { port: listener.local_addr().expect("bound").port(), requests: Arc::default() };
        let requests = Arc::clone(&far.requests);
        thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                let (Ok(from_client), Ok(to_client)) = (client.try_clone(), server.try_clone()) else { continue };
                let requests = Arc::clone(&requests);
                thread::spawn(move || forward(from_client, server, Duration::ZERO, Some(&requests)));
                thread::spawn(move || forward(to_client, client, Duration::from_millis(late_ms), None));
            }
        });
        far
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, late: Duration, requests: Option<&AtomicU64>) {
    let _ = to.set_nodelay(true);
    let (sender, receiver) = channel::<(Instant, Vec<u8>)>();
    let writer = thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = buffer[..count].to_vec();
        if let Some(requests) = requests {
            // A head comes in one piece: clients write it at once.
            let found = bytes.windows(REQUEST.len()).filter(|window| *window == REQUEST).count();
            requests.fetch_add(found as u64, Ordering::Relaxed);
        }
        if sender.send((Instant::now() + late, bytes)).is_err() {
            break;
        }
    }
    drop(sender);
    let _ = writer.join();
}
