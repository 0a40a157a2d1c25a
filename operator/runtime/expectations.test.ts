import { describe, expect, it } from 'vitest';
import { createExpectations } from './expectations.ts';

const shown = (resourceVersion: string, uid = 'u1') => ({ uid, resourceVersion });

describe('expectations', () => {
  it('take the store for old while it shows the version from before the write, and forget it at the first news', () => {
    const expectations = createExpectations();
    expectations.wrote('ns/a', { uid: 'u1', from: '5', to: '6' });
    expect(expectations.stale('ns/a', shown('5'))).toBe(true);
    expect(expectations.stale('ns/a', shown('5'))).toBe(true);
    expect(expectations.stale('ns/a', shown('6'))).toBe(false);
    expect(expectations.size).toBe(0);
    expect(expectations.stale('ns/a', shown('5'))).toBe(false);
  });

  it('take a later version of somebody else for news', () => {
    const expectations = createExpectations();
    expectations.wrote('ns/a', { uid: 'u1', from: '5', to: '6' });
    expect(expectations.stale('ns/a', shown('9'))).toBe(false);
  });

  it('see through two writes in one reconcile: the version in between is old too', () => {
    const expectations = createExpectations();
    expectations.wrote('ns/a', { uid: 'u1', from: '5', to: '6' });
    expectations.wrote('ns/a', { uid: 'u1', from: '6', to: '7' });
    expect([expectations.stale('ns/a', shown('5')), expectations.stale('ns/a', shown('6'))]).toEqual([true, true]);
    expect(expectations.stale('ns/a', shown('7'))).toBe(false);
  });

  it('expect nothing of a write that changed nothing', () => {
    const expectations = createExpectations();
    expectations.wrote('ns/a', { uid: 'u1', from: '5', to: '5' });
    expect(expectations.stale('ns/a', shown('5'))).toBe(false);
    expect(expectations.size).toBe(0);
  });

  it('do not wait for a write of an object that is gone or was made again', () => {
    const expectations = createExpectations();
    expectations.wrote('ns/a', { uid: 'u1', from: '5', to: '6' });
    expect(expectations.stale('ns/a', undefined)).toBe(false);
    expectations.wrote('ns/b', { uid: 'u1', from: '5', to: '6' });
    expect(expectations.stale('ns/b', shown('5', 'u2'))).toBe(false);
    expect(expectations.size).toBe(0);
  });

  it('keep keys apart', () => {
    const expectations = createExpectations();
    expectations.wrote('ns/a', { uid: 'u1', from: '5', to: '6' });
    expect(expectations.stale('ns/b', shown('5'))).toBe(false);
    expect(expectations.size).toBe(1);
  });
});
