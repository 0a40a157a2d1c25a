// Re-enrolment by EST as a device does it: a new key, the current certificate for mutual TLS, and patience (RFC 7030 §4.2.2, §4.2.3).
import { execFile } from 'node:child_process';
import { request } from 'node:https';

export type EstAddress = { port: number; caPem: string };
export type Credentials = { privateKeyPem: string; certificatePem: string };
export type EstAnswer = { status: number; text: string; certificatePem: string };

/** Rejects when nobody answers. */
export async function reenrol(est: EstAddress, by: Credentials, csrPem: string): Promise<EstAnswer> {
  const body = csrPem.replace(/-----[^-]+-----/g, '').replace(/\s/g, '');
  const { status, text } = await post(est, by, body);
  return { status, text, certificatePem: status === 200 ? await leafOf(text) : '' };
}

function post(est: EstAddress, by: Credentials, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asking = request(
      {
        ...{ host: '127.0.0.1', servername: 'localhost', port: est.port, path: '/.well-known/est/simplereenroll', method: 'POST' },
        ...{ agent: false, timeout: 30_000, ca: est.caPem, key: by.privateKeyPem, cert: by.certificatePem },
        headers: { 'content-type': 'application/pkcs10', 'content-length': Buffer.byteLength(body) },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
        answer.on('error', reject);
      },
    );
    asking.on('timeout', () => asking.destroy(new Error('no answer in time')));
    asking.on('error', reject).end(body);
  });
}

/** The signed message about the broker's CAs; who gives it need not be known, since it is signed. */
export function toldAnchors(est: EstAddress): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: est.port,
      path: '/.well-known/hedgerow/anchors',
      rejectUnauthorized: false,
      agent: false,
      timeout: 10_000,
    };
    const asking = request(options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () =>
        answer.statusCode === 200 ? resolve(Buffer.concat(chunks).toString()) : reject(new Error(String(answer.statusCode))),
      );
      answer.on('error', reject);
    });
    asking.on('timeout', () => asking.destroy(new Error('no answer in time')));
    asking.on('error', reject).end();
  });
}

/** By a program that nobody here wrote. */
function leafOf(base64: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile('openssl', ['pkcs7', '-inform', 'DER', '-print_certs'], (error, stdout) => {
      const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(stdout)?.[0];
      if (error !== null || pem === undefined) reject(error ?? new Error('no certificate in the answer'));
      else resolve(pem);
    });
    child.stdin?.end(Buffer.from(base64, 'base64'));
  });
}
