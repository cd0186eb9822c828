/*
 * VGA text mode, 80x25: a mirror of the console for those who look at the machine's screen. Writes only
 * to the frame buffer; takes no lock (the console's lock covers it) and never fails.
 */
#include "kernel/insn.h"
#include "kernel/memory.h"
#include "kernel/string.h"
#include "kernel/vga.h"

#define COLUMNS 80
#define ROWS 25
#define ATTRIBUTE 0x0700
#define VGA_TEXT_PHYS 0xb8000

#define CRTC_INDEX 0x3d4
#define CRTC_DATA 0x3d5
#define CRTC_CURSOR_HIGH 14
#define CRTC_CURSOR_LOW 15

static u32 row, column;
static bool taken;
static enum { TEXT, ESCAPE, SEQUENCE } state;

static u16 *screen(void)
{
	return phys_to_virt(VGA_TEXT_PHYS);
}

static void blank_row(u32 r)
{
	for (u32 i = 0; i < COLUMNS; i++)
		screen()[r * COLUMNS + i] = ATTRIBUTE | ' ';
}

static void newline(void)
{
	column = 0;
	if (++row < ROWS)
		return;
	row = ROWS - 1;
	memcpy(screen(), screen() + COLUMNS, (ROWS - 1) * COLUMNS * sizeof(u16));
	blank_row(row);
}

static void put(char c)
{
	switch (c) {
	case '\n':
		newline();
		break;
	case '\r':
		column = 0;
		break;
	case '\b':
		column -= column > 0;
		break;
	case '\t':
		do
			put(' ');
		while (column % 8);
		break;
	default:
		if ((u8)c < ' ')
			break;
		screen()[row * COLUMNS + column] = ATTRIBUTE | (u8)c;
		if (++column == COLUMNS)
			newline();
	}
}

void vga_init(void)
{
	for (u32 i = 0; i < ROWS; i++)
		blank_row(i);
}

static void put_cursor(u32 at)
{
	outb(CRTC_INDEX, CRTC_CURSOR_HIGH);
	outb(CRTC_DATA, (u8)(at >> 8));
	outb(CRTC_INDEX, CRTC_CURSOR_LOW);
	outb(CRTC_DATA, (u8)at);
}

void vga_take(void)
{
	taken = true;
	put_cursor(ROWS * COLUMNS); /* out of sight */
}

void vga_show(const u16 *picture)
{
	if (taken)
		memcpy(screen(), picture, ROWS * COLUMNS * sizeof(u16));
}

void vga_give_back(void)
{
	if (taken)
		vga_init();
	taken = false;
	row = 0;
}

void vga_write(const char *text, size_t n)
{
	if (taken)
		return;
	for (; n; n--, text++) {
		if (state == TEXT && *text == '\033')
			state = ESCAPE;
		else if (state == ESCAPE)
			state = *text == '[' ? SEQUENCE : TEXT;
		else if (state == SEQUENCE)
			state = *text >= '@' && *text <= '~' ? TEXT : SEQUENCE;
		else
			put(*text);
	}
	put_cursor(row * COLUMNS + column);
}
