import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { differences, repair } from './files.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hedgerow-files-'));
  mkdirSync(join(root, 'crds'));
  writeFileSync(join(root, 'crds', 'same.yaml'), 'a');
  writeFileSync(join(root, 'crds', 'old.yaml'), 'before');
  writeFileSync(join(root, 'crds', 'gone.yaml'), 'nobody makes this any more');
  writeFileSync(join(root, 'crds', 'README.md'), 'written by hand');
});

afterEach(() => rmSync(root, { recursive: true }));

const files = new Map([
  ['crds/same.yaml', 'a'],
  ['crds/old.yaml', 'after'],
  ['charts/new/new.yaml', 'new'],
]);

describe('generated files', () => {
  it('that are missing, different or left over are named', () =>
    expect(differences(root, files, ['crds', 'charts/new'])).toEqual([
      { file: 'charts/new/new.yaml', why: 'missing' },
      { file: 'crds/gone.yaml', why: 'left over' },
      { file: 'crds/old.yaml', why: 'differs' },
    ]));

  it('are as they should be after a repair, and what people wrote is still there', () => {
    repair(root, files, differences(root, files, ['crds']));
    expect(differences(root, files, ['crds'])).toEqual([]);
    expect(readFileSync(join(root, 'crds', 'old.yaml'), 'utf8')).toBe('after');
    expect(existsSync(join(root, 'crds', 'gone.yaml'))).toBe(false);
    expect(existsSync(join(root, 'crds', 'README.md'))).toBe(true);
  });
});
