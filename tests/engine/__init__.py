"""The program under the real engine, against the embedded cloud."""
