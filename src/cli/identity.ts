import { UsageError } from '../domain/errors.ts';

export function attributeName(text: string): string {
  const name = text.trim();
  if (name !== '' && !/[.$]|^__proto__$/.test(name)) return name;
  throw new UsageError(`An attribute cannot be named ${name}: a name has no . and no $; nothing was changed.`);
}

export function address(text: string): string {
  const clean = text.trim().normalize('NFC');
  if (!/^[^\s@]+@[^\s@]+$/.test(clean)) throw new UsageError(`${text} is no e-mail address; nothing was changed.`);
  return clean;
}
