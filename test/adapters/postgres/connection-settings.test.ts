import { describe, expect, it } from 'vitest';
import { parseDatabaseUrl } from '../../../src/adapters/postgres/connection-settings.ts';

describe('the URL of a database', () => {
  it('tells where it is and who asks', () => {
    expect(parseDatabaseUrl('postgres://us%40er:p%2Fw@db.example:6543/lake')).toEqual({
      host: 'db.example',
      port: 6543,
      database: 'lake',
      user: 'us@er',
      password: 'p/w',
      encryption: 'verify-full',
    });
    expect(parseDatabaseUrl('postgresql://someone@[::1]')).toEqual({
      host: '::1',
      port: 5432,
      database: 'someone',
      user: 'someone',
      password: undefined,
      encryption: 'disable',
    });
  });

  it('encrypts what leaves the machine, unless it is told otherwise', () => {
    const encryptionOf = (url: string) => parseDatabaseUrl(url).encryption;
    expect(encryptionOf('postgres://127.0.0.1/x')).toBe('disable');
    expect(encryptionOf('postgres://localhost/x?sslmode=verify-full')).toBe('verify-full');
    expect(encryptionOf('postgres://localhost.example/x')).toBe('verify-full');
    expect(encryptionOf('postgres://db.example/x?sslmode=require')).toBe('require');
    expect(encryptionOf('postgres://db.example/x?sslmode=disable')).toBe('disable');
  });

  it('is refused, and not repeated, where it is none', () => {
    const urls = [
      'db.example',
      'mysql://u:secret@h/x',
      'postgres://u:secret@h/x?sslmode=prefer',
      'postgres:///x',
    ];
    for (const url of urls) {
      expect(() => parseDatabaseUrl(url)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
      expect(() => parseDatabaseUrl(url)).not.toThrow(/secret/);
    }
  });
});
