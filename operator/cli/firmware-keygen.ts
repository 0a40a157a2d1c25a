// `kubectl hedgerow firmware keygen`: a key that signs roots or releases, in a file of the person's own.
import { access, writeFile } from 'node:fs/promises';
import { makeKey, publicKeyFrom } from '../firmware/firmware.ts';
import type { Command } from './command.ts';
import { CliError } from './errors.ts';
import { good } from './firmware-files.ts';
import { required, TEXT, text } from './flags.ts';
import { WrongUse } from './parse.ts';
import { createSecretFile } from './secret-file.ts';
import { facts } from './table.ts';

const KINDS = { ed25519: 'ed25519', p256: 'P-256' } as const;

export const firmwareKeygen: Command = {
  words: ['firmware', 'keygen'],
  operand: 'FILE',
  summary: 'a key that signs trust roots or firmware releases',
  help: `usage: kubectl hedgerow firmware keygen FILE [--type ed25519|p256]

Writes the private key into FILE (PKCS#8, only you may read it) and the public key into FILE.pub, and prints the id of the key. Nothing that is there is
overwritten, and nothing is sent anywhere. Keep FILE where no cluster and no CI can read it, with a copy; give FILE.pub to whoever makes the root.

  --type TYPE                  ed25519 (default), or p256 for devices and tools that know no Ed25519

Exit codes: 0 done; 1 it could not be done; 2 wrong use.
`,
  flags: { type: TEXT, help: { type: 'boolean', short: 'h' } },
  async run(values, { out }) {
    const file = required(values, 'FILE');
    const type = text(values, 'type') ?? 'ed25519';
    if (type !== 'ed25519' && type !== 'p256') throw new WrongUse(`--type ${type}: ed25519 or p256`);
    const publicFile = `${file}.pub`;
    if (await isThere(publicFile)) throw new CliError('HR-CLI-043', publicFile);
    const { privatePem, publicPem } = makeKey(KINDS[type]);
    const { remove } = await createSecretFile(file, privatePem);
    try {
      await writeFile(publicFile, publicPem, { flag: 'wx' });
    } catch (error) {
      await remove();
      throw new CliError('HR-CLI-044', `${publicFile} (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
    }
    const { keyid, kind } = good(publicKeyFrom(publicPem), publicFile);
    out(
      facts([
        ['key id', keyid],
        ['kind', kind],
        ['private key', file],
        ['public key', publicFile],
      ]),
    );
    return 0;
  },
};

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
