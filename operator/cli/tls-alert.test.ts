import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WrongUse } from './parse.ts';
import { alertFinding, tlsAlertOf } from './tls-alert.ts';

describe('a TLS alert', () => {
  it.each([
    ['45', 45],
    ['certificate_expired', 45],
    ['Certificate Expired', 45],
    ['error:0A000415:SSL routines::sslv3 alert certificate expired:ssl/record/rec_layer_s3.c:907:SSL alert number 45', 45],
    ['ssl/tls alert bad certificate (SSL alert number 42)', 42],
    ['tlsv13 alert certificate required', 116],
    ['{tls_alert,{unknown_ca,"TLS server: ..."}}', 48],
    ['TLSV1_ALERT_UNKNOWN_CA', 48],
    ['received alert: 44', 44],
  ])('is found in %s', (text, number) => {
    const alert = tlsAlertOf(text);
    expect(alert.number).toBe(number);
    expect(alertFinding(alert)).toMatchObject({ code: 'HR-CLI-026', weight: 'stops', found: expect.stringContaining(`alert ${number} (`) });
  });

  it('that is none is wrong use, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          expect(tlsAlertOf(text).number).toBeGreaterThan(39);
        } catch (error) {
          expect(error).toBeInstanceOf(WrongUse);
        }
      }),
    );
    expect(() => tlsAlertOf('it does not work')).toThrow('none of 40 handshake_failure');
  });
});
