// The shapes in which a secret could turn up: as it is, in base64 at any of its three alignments, and the bare number of a private key.
import { createPrivateKey } from 'node:crypto';

/** Name of the form → its bytes. `secret` may be a private key in PEM, a token, a password or any text. */
export function searchForms(name: string, secret: string): Map<string, Buffer> {
  const forms = new Map<string, Buffer>([[name, Buffer.from(secret)]]);
  for (const [at, text] of base64Of(Buffer.from(secret)).entries()) forms.set(`${name} (base64, ${at})`, Buffer.from(text));
  if (!secret.includes('PRIVATE KEY')) return forms;
  // A PEM that was cut or wrapped anew still holds a whole line; DER holds the number itself.
  const line = secret.split('\n').find((one) => one.length >= 48 && !one.includes('-----')) ?? expectLine(name);
  forms.set(`${name} (a line)`, Buffer.from(line));
  for (const [at, text] of base64Of(Buffer.from(line)).entries()) forms.set(`${name} (a line in base64, ${at})`, Buffer.from(text));
  const number = Buffer.from(createPrivateKey(secret).export({ format: 'jwk' }).d ?? '', 'base64url').subarray(0, 32);
  forms.set(`${name} (number)`, number);
  forms.set(`${name} (number in hex)`, Buffer.from(number.toString('hex')));
  return forms;
}

/** What stands in the base64 text of a document that holds `bytes` somewhere: without the ends that depend on the neighbours. */
function base64Of(bytes: Buffer): string[] {
  return [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    return text.slice(offset === 0 ? 0 : offset + 1, -2);
  });
}

function expectLine(name: string): never {
  throw new Error(`${name} has no line long enough to be looked for`);
}
