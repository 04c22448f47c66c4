// Figures as people read them. One way to write each, everywhere on the page.

/** 0.4 ms · 812 ms · 3.1 s · 12 m 05 s · 2 h 07 m */
export function seconds(value: number): string {
    if (!Number.isFinite(value)) return '–';
    if (value < 0) return `-${seconds(-value)}`;
    if (value < 0.001) return `${(value * 1000).toFixed(1)} ms`;
    if (value < 1) return `${Math.round(value * 1000)} ms`;
    if (value < 60) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
    const whole = Math.round(value);
    if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
    return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} m`;
}

/** 812 · 4.1k · 3.2M */
export function count(value: number): string {
    if (value < 1000) return String(value);
    if (value < 10_000) return `${(value / 1000).toFixed(1)}k`;
    if (value < 1_000_000) return `${Math.round(value / 1000)}k`;
    return `${(value / 1e6).toFixed(value < 10e6 ? 2 : 1)}M`;
}

/** 12,406 */
export function exact(value: number): string {
    return FIGURES.format(value);
}

/** $0.0042 · $14.07 · "unknown" for a price nobody knows */
export function dollars(value: number | null): string {
    if (value === null) return 'price unknown';
    if (value === 0) return '$0';
    return value < 0.01 ? `$${value.toPrecision(2)}` : `$${value.toFixed(2)}`;
}

/** 812 B · 64 kB · 1.2 MB */
export function bytes(value: number): string {
    if (value < 1000) return `${value} B`;
    if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e4 ? 1 : 0)} kB`;
    return `${(value / 1e6).toFixed(1)} MB`;
}

/** 00:31:07.412 since the run began */
export function clock(value: number): string {
    const ms = Math.max(0, Math.round(value * 1000));
    const part = (size: number, of: number): number => Math.floor(ms / size) % of;
    return `${two(Math.floor(ms / 3_600_000))}:${two(part(60_000, 60))}:${two(part(1000, 60))}.${String(ms % 1000).padStart(3, '0')}`;
}

/** 2026-11-21 14:03:11 in the reader's time zone */
export function date(unix: number): string {
    const at = new Date(unix * 1000);
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** just now · 5 min ago · 3 h ago · 2 d ago */
export function ago(value: number): string {
    if (value < 60) return 'just now';
    if (value < 3600) return `${Math.floor(value / 60)} min ago`;
    if (value < 86_400) return `${Math.floor(value / 3600)} h ago`;
    return `${Math.floor(value / 86_400)} d ago`;
}

/** 1 step · 3 steps */
export function plural(value: number, one: string, many = `${one}s`): string {
    return `${exact(value)} ${value === 1 ? one : many}`;
}

/** Kept, as making one for every figure takes longer than all else in a table. */
const FIGURES = new Intl.NumberFormat('en-US');

const two = (value: number): string => String(value).padStart(2, '0');
