import { expect, it } from 'vitest';
import { answerOf, answerOfError } from './answer.ts';

it('reason codes below 0x80 are no refusal (MQTT 5 §2.4)', () => {
  expect(answerOf('PUBACK', 0x10)).toEqual({ given: 'accepted', how: 'PUBACK 0x10' });
  expect(answerOf('SUBACK', 0x80).given).toBe('refused');
});

it('a refusal names packet, code and meaning', () => {
  const error = Object.assign(new Error('Publish error: Not authorized'), { code: 0x87 });
  expect(answerOfError('PUBACK', error)).toEqual({ given: 'refused', how: 'PUBACK 0x87 Not authorized' });
});

it('a refused subscription has its code in the SUBACK', () => {
  const error = Object.assign(new Error('Subscribe error: Not authorized'), { packet: { cmd: 'suback', granted: [0, 0x87] } });
  expect(answerOfError('SUBACK', error)).toEqual({ given: 'refused', how: 'SUBACK 0x87 Not authorized' });
});

it('a broken connection is no refusal', () => {
  const error = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' });
  expect(answerOfError('CONNACK', error)).toEqual({ given: 'none', how: 'connect ECONNREFUSED 127.0.0.1:1' });
  expect(answerOfError('PUBACK', new Error('Connection closed')).given).toBe('none');
});
