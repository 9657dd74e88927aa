/** @file Settings as flat rows, to show them and to say where they differ. */

export type SettingValue = string | number | boolean | null;

/** Members of objects as `outer.inner`. */
export function settingRows(settings: Record<string, unknown>): { name: string; value: SettingValue }[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (value === null || typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean')
      return [{ name, value }];
    if (Array.isArray(value)) return [{ name, value: JSON.stringify(value) }];
    return settingRows(value as Record<string, unknown>).map((row) => ({ ...row, name: `${name}.${row.name}` }));
  });
}

/** Settings that are not the default, or have none. */
export function differingSettings(
  settings: Record<string, unknown>,
  defaults: Record<string, unknown>,
): { name: string; value: SettingValue; default?: SettingValue }[] {
  const usual = new Map(settingRows(defaults).map(({ name, value }) => [name, value]));
  return settingRows(settings).flatMap(({ name, value }) => {
    const expected = usual.get(name);
    if (expected === value) return [];
    return [expected === undefined ? { name, value } : { name, value, default: expected }];
  });
}

export const settingText = (value: SettingValue | undefined) => (value === undefined ? '' : String(value));
