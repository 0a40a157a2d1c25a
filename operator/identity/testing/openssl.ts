// Keys, requests and certificates as the openssl command makes them, in a folder of their own: what devices and strangers really send.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const SUBJECT = '/O=hedgerow/OU=office.berlin/CN=thermo-17.berlin';

export class OpenSsl implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'csr-'));
  #made = 0;

  /** Throws with openssl's words when it refuses. */
  run(args: readonly string[], input?: string | Buffer): Buffer {
    return execFileSync('openssl', args, { cwd: this.dir, input: input ?? '', stdio: ['pipe', 'pipe', 'pipe'] });
  }

  bash(command: string): void {
    execFileSync('bash', ['-c', command], { cwd: this.dir, stdio: 'pipe' });
  }

  file(name: string): string {
    return readFileSync(join(this.dir, name), 'utf8');
  }

  /** The name of a file with a new key, for `genpkey`'s arguments. */
  key(...args: string[]): string {
    const name = `key-${++this.#made}.pem`;
    this.run(['genpkey', ...args, '-out', name]);
    return name;
  }

  /** The name of a file with this text. */
  write(text: string): string {
    const name = `file-${++this.#made}`;
    writeFileSync(join(this.dir, name), text);
    return name;
  }

  /** A request in PEM; by default P-256, SHA-256 and the subject of thermo-17. `-subj` makes openssl ignore attributes: `null` leaves the subject to the configuration. */
  request(options: { key?: string; subject?: string | null; args?: readonly string[]; config?: string } = {}): string {
    const config = this.write(options.config ?? '[req]\ndistinguished_name=dn\n[dn]\n');
    const key = options.key ?? this.key('-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256');
    const subject = options.subject === null ? [] : ['-subj', options.subject ?? SUBJECT];
    return this.run(['req', '-new', '-utf8', '-key', key, '-config', config, ...subject, ...(options.args ?? [])]).toString();
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
}

export function pemOf(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
}
