/* What an attacker would run: here, nothing. */
int main(void)
{
	return 0;
}
