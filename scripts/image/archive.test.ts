import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { dockerArchive, type Image } from './archive.ts';
import { type Entry, tar } from './tar.ts';

const FILES: Entry[] = [
  { path: 'usr/bin/operator', target: '/app/operator.mjs' },
  { path: 'app/operator.mjs', mode: 0o755, content: Buffer.from('#!/usr/bin/node\n') },
  { path: 'app/empty', mode: 0o644, content: Buffer.alloc(0) },
  { path: 'app/block', mode: 0o600, content: Buffer.alloc(512, 'x') },
];
const IMAGE: Image = {
  reference: 'example.test/it:1',
  layers: [FILES],
  entrypoint: ['operator'],
  user: '65532:65532',
  env: { PATH: '/usr/bin' },
};

/** What the machine's own tar reads: an archive that only we understand would be worthless. */
function read(archive: Buffer, ...args: string[]): string {
  const { stdout, stderr, status } = spawnSync('tar', ['-f', '-', ...args], {
    input: archive,
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
  });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

describe('tar', () => {
  it('is read by the tar of the machine: modes, owner 0, time 0, links', () => {
    const lines = read(tar(FILES), '-tv')
      .trim()
      .split('\n')
      .map((line) => line.replaceAll(/\s+/g, ' '));
    expect(lines).toEqual([
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 app/',
      '-rw------- 0/0 512 1970-01-01 00:00 app/block',
      '-rw-r--r-- 0/0 0 1970-01-01 00:00 app/empty',
      '-rwxr-xr-x 0/0 16 1970-01-01 00:00 app/operator.mjs',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 usr/',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 usr/bin/',
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 usr/bin/operator -> /app/operator.mjs',
    ]);
    expect(read(tar(FILES), '-xO', 'app/operator.mjs')).toBe('#!/usr/bin/node\n');
  });

  it('is the same for the same files in any order', () => expect(tar([...FILES].reverse()).equals(tar(FILES))).toBe(true));

  it.each([
    ['a path that leaves the archive', [{ path: '../etc/passwd', mode: 0o644, content: Buffer.alloc(0) }], /no path inside an archive/],
    ['an absolute path', [{ path: '/etc/passwd', mode: 0o644, content: Buffer.alloc(0) }], /no path inside an archive/],
    ['the same path twice', [...FILES, ...FILES], /twice in the archive/],
    ['a name too long for the format', [{ path: 'x'.repeat(101), mode: 0o644, content: Buffer.alloc(0) }], /too long for a tar header/],
  ])('refuses %s', (_what, entries, message) => expect(() => tar(entries)).toThrow(message));
});

describe('an image archive', () => {
  it('names its configuration and layers by what they contain', () => {
    const { content, id } = dockerArchive(IMAGE);
    const [manifest] = JSON.parse(read(content, '-xO', 'manifest.json')) as [{ Config: string; RepoTags: string[]; Layers: string[] }];
    expect(manifest).toMatchObject({ Config: `${id}.json`, RepoTags: ['example.test/it:1'] });
    const config = read(content, '-xO', manifest.Config);
    expect(createHash('sha256').update(config).digest('hex')).toBe(id);
    const { rootfs } = JSON.parse(config) as { rootfs: { diff_ids: string[] } };
    expect(rootfs.diff_ids).toEqual([`sha256:${createHash('sha256').update(tar(FILES)).digest('hex')}`]);
    expect(manifest.Layers).toEqual(rootfs.diff_ids.map((digest) => `${digest.slice('sha256:'.length)}/layer.tar`));
  });

  it('is the same to the byte for the same files, and another for another content', () => {
    const other = { ...IMAGE, layers: [[...FILES, { path: 'more', mode: 0o644, content: Buffer.from('1') }]] };
    expect(dockerArchive({ ...IMAGE, layers: [[...FILES].reverse()] }).content.equals(dockerArchive(IMAGE).content)).toBe(true);
    expect(dockerArchive(other).id).not.toBe(dockerArchive(IMAGE).id);
  });

  it('runs as a number, so that runAsNonRoot can judge it', () => {
    const { content, id } = dockerArchive(IMAGE);
    expect(JSON.parse(read(content, '-xO', `${id}.json`))).toMatchObject({ config: { User: '65532:65532', Entrypoint: ['operator'] } });
  });
});
