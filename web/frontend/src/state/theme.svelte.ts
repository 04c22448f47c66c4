// Light, dark, or as the system says; kept for the next visit.

const KEY = 'agentflow-theme';
export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

class Themes {
    chosen = $state<Theme>('system');
    /** Counts changes of colour, for what is drawn and not styled. */
    revision = $state(0);

    constructor() {
        const kept = remembered(KEY) as Theme;
        if (THEMES.includes(kept)) this.choose(kept);
        matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => (this.revision += 1));
    }

    choose(theme: Theme): void {
        this.chosen = theme;
        if (theme === 'system') delete document.documentElement.dataset.theme;
        else document.documentElement.dataset.theme = theme;
        this.revision += 1;
        remember(KEY, theme);
    }

    next(): void {
        this.choose(THEMES[(THEMES.indexOf(this.chosen) + 1) % THEMES.length]);
    }
}

/** Return what was remembered in this browser; nothing where a page from disk may not store. */
export function remembered(key: string): string | null {
    try {
        return localStorage.getItem(key);
    } catch {
        return null;
    }
}

export function remember(key: string, value: string): void {
    try {
        localStorage.setItem(key, value);
    } catch {
        // A page opened from disk may not store; the choice then lasts as long as the page.
    }
}

export const theme = new Themes();
