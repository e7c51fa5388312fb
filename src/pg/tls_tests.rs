//! Handshakes with a server that speaks just enough of the protocol to say that there is no such database. Reaching that
//! message means that the line was accepted.

use super::{ConnectError, Environment, Target, connect};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

fn fixture(name: &str) -> String {
    format!("{}/src/pg/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server that shows certificate `name`, or has no TLS. Gives its port; it serves until the test ends.
fn server(name: Option<&'static str>) -> u16 {
    let config = name.map(|name| {
        let certificate = CertificateDer::from_pem_file(fixture(&format!("{name}.crt"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(fixture(&format!("{name}.key"))).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap())
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = serve(stream.unwrap(), config.as_ref()); // the client may hang up at any time
        }
    });
    port
}

fn serve(mut stream: TcpStream, config: Option<&Arc<ServerConfig>>) -> std::io::Result<()> {
    const SSL_REQUEST: &[u8] = &[4, 210, 22, 47];
    if message(&mut stream)? != SSL_REQUEST {
        return refuse(&mut stream);
    }
    let Some(config) = config else {
        stream.write_all(b"N")?;
        message(&mut stream)?;
        return refuse(&mut stream);
    };
    stream.write_all(b"S")?;
    let mut tls = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut line = rustls::Stream::new(&mut tls, &mut stream);
    message(&mut line)?;
    refuse(&mut line)
}

/// One message of the start-up phase, without its length.
fn message(line: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    line.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    line.read_exact(&mut body)?;
    Ok(body)
}

fn refuse(line: &mut impl Write) -> std::io::Result<()> {
    let fields = b"SFATAL\0VFATAL\0C3D000\0Mdatabase \"d\" does not exist\0\0";
    line.write_all(b"E")?;
    line.write_all(&(u32::try_from(fields.len()).unwrap() + 4).to_be_bytes())?;
    line.write_all(fields)?;
    line.flush()
}

/// How a connection with `parameters` ends.
async fn end(port: u16, parameters: &str) -> ConnectError {
    let environment = Environment { os_user: Some("ann".into()), ..Environment::default() };
    let target = Target::parse_in(&format!("port={port} dbname=d {parameters}"), &environment).unwrap();
    connect(&target).await.err().unwrap()
}

async fn assert_accepted(port: u16, parameters: &str) {
    let error = end(port, parameters).await;
    assert_eq!(error.code(), "connect::no_such_database", "{parameters}: {error}");
}

async fn assert_refused(port: u16, parameters: &str, why: &str) {
    let error = end(port, parameters).await;
    assert_eq!(error.code(), "connect::tls", "{parameters}: {error}");
    assert!(error.to_string().contains(why), "{parameters}: {error}");
}

#[tokio::test]
async fn a_certificate_is_looked_at_as_sslmode_says() {
    let port = server(Some("server"));
    let (root, other) = (fixture("ca.crt"), fixture("other.crt"));
    assert_accepted(port, "host=localhost sslmode=require").await;
    assert_accepted(port, "host=127.0.0.1 sslmode=require").await;
    assert_accepted(port, &format!("host=127.0.0.1 sslmode=verify-ca sslrootcert={root}")).await;
    assert_accepted(port, &format!("host=localhost sslmode=verify-full sslrootcert={root}")).await;
    assert_accepted(port, &format!("host=localhost hostaddr=127.0.0.1 sslmode=verify-full sslrootcert={root}")).await;
    assert_refused(port, &format!("host=127.0.0.1 sslmode=verify-full sslrootcert={root}"), "not valid for").await;
    assert_refused(port, &format!("host=localhost sslmode=verify-ca sslrootcert={other}"), "UnknownIssuer").await;
    assert_refused(port, &format!("host=localhost sslmode=verify-full sslrootcert={other}"), "UnknownIssuer").await;
}

#[tokio::test]
async fn require_with_a_root_is_verify_ca() {
    let port = server(Some("server"));
    assert_accepted(port, &format!("host=127.0.0.1 sslmode=require sslrootcert={}", fixture("ca.crt"))).await;
    assert_refused(port, &format!("host=127.0.0.1 sslmode=require sslrootcert={}", fixture("other.crt")), "UnknownIssuer").await;
}

#[tokio::test]
async fn a_self_signed_certificate_may_be_its_own_root() {
    let port = server(Some("self"));
    let root = fixture("self.crt");
    assert_accepted(port, &format!("host=127.0.0.1 sslmode=verify-ca sslrootcert={root}")).await;
    assert_accepted(port, &format!("host=localhost sslmode=verify-full sslrootcert={root}")).await;
    assert_refused(port, &format!("host=127.0.0.1 sslmode=verify-full sslrootcert={root}"), "not valid for").await;
    assert_refused(
        port,
        &format!("host=localhost sslmode=verify-ca sslrootcert={}", fixture("ca.crt")),
        "invalid peer certificate",
    )
    .await;
}

#[tokio::test]
async fn prefer_goes_on_without_tls() {
    assert_accepted(server(None), "host=localhost").await;
    assert_accepted(server(Some("server")), "host=localhost sslmode=allow").await;
    assert_accepted(server(Some("server")), &format!("host=localhost sslrootcert={}", fixture("other.crt"))).await;
    assert_refused(server(None), "host=localhost sslmode=require", "server does not support TLS").await;
}
